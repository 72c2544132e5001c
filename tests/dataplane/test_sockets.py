"""Where connections come from, whichever transport moves their bytes. TLS: test_tls.py; how they behave:
test_epoll_transports.py.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from canaryproxy import MODE
from canaryproxy.dataplane.sockets import Sockets
from tests.support.cluster import run


class Greeter(asyncio.Protocol):
    """Says hello, and remembers what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.received: asyncio.Queue[str] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport.get_extra_info("socket").fileno(), int)
        self.transport = transport
        transport.write(b"hello")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.heard == b"hello":
            self.received.put_nowait("greeted")

    def connection_lost(self, error: Exception | None) -> None:
        self.received.put_nowait("lost")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def listening(family: socket.AddressFamily, host: str) -> socket.socket:
    sock = socket.socket(family)
    sock.setblocking(False)
    sock.bind((host, 0))
    sock.listen()
    return sock


def test_compiled_code_moves_the_bytes_itself() -> None:
    async def test() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        assert sockets.direct is MODE.compiled
        sockets.close()

    run(test())


@pytest.mark.parametrize(
    ("family", "bound", "host"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET, "127.0.0.1", "localhost"),
    ],
)
def test_a_connection_to_ourselves(family: socket.AddressFamily, bound: str, host: str) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        sockets = Sockets(loop)
        client, server = Greeter(), Greeter()
        with listening(family, bound) as sock:
            await sockets.connect(host, sock.getsockname()[1], client, None, None)
            accepted, _ = await loop.sock_accept(sock)
        await sockets.serve(accepted, lambda: server, None, 1.0)
        assert (await client.received.get(), await server.received.get()) == ("greeted", "greeted")
        client.transport.close()
        assert (await client.received.get(), await server.received.get()) == ("lost", "lost")
        sockets.close()

    run(test())


def test_who_refuses_is_an_error_and_leaves_nothing_open() -> None:
    async def test() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        before = open_files()
        with listening(socket.AF_INET, "127.0.0.1") as sock:
            port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await sockets.connect("127.0.0.1", port, Greeter(), None, None)
        while sockets.direct and open_files() > before:
            await asyncio.sleep(0.001)
        sockets.close()

    run(test())


def test_a_connection_attempt_that_is_given_up_leaves_nothing_open() -> None:
    async def test() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        with contextlib.ExitStack() as undo:
            full = undo.enter_context(listening(socket.AF_INET, "127.0.0.1"))
            full.listen(0)
            for _ in range(4):
                waiting = undo.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            before = open_files()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await sockets.connect("127.0.0.1", full.getsockname()[1], Greeter(), None, None)
            while sockets.direct and open_files() > before:
                await asyncio.sleep(0.001)
        sockets.close()

    run(test())


@pytest.mark.compiled
def test_closing_ends_what_is_open() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        sockets = Sockets(loop)
        one, other = Greeter(), Greeter()
        with listening(socket.AF_INET, "127.0.0.1") as sock:
            await sockets.connect("127.0.0.1", sock.getsockname()[1], one, None, None)
            accepted, _ = await loop.sock_accept(sock)
            sockets.adopt(accepted, other)
        sockets.close()
        assert (await one.received.get(), await other.received.get()) == ("lost", "lost")

    run(test())


def test_a_worker_without_sockets_of_its_own_adopts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canaryproxy.dataplane.sockets.open_poller", lambda *_: None)

    async def test() -> None:
        sockets = Sockets(asyncio.get_running_loop())
        assert not sockets.direct
        with socket.socket() as sock, pytest.raises(RuntimeError, match="no poller"):
            sockets.adopt(sock, Greeter())
        sockets.close()

    run(test())
