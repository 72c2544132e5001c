"""Whether a client reads: what is made of what TCP says, and what TCP does say."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application

from canaryproxy.admin import metrics_endpoint, receive_window
from canaryproxy.admin.app import admin_application
from canaryproxy.admin.receive_window import (
    MIN_PIECE_BYTES,
    STALLED_CHECKS,
    ReceiveWindow,
    WindowSample,
    connected_for,
    cut,
    piece,
    read_window,
    unacknowledged,
)
from canaryproxy.telemetry.read.exposition import Exposition, ExpositionFormat
from tests.support.admin import Api, until
from tests.support.cluster import run

WIDE = 65536


def looks(*seen: WindowSample) -> list[bool]:
    reading = ReceiveWindow()
    return [reading.update(one) for one in seen]


def window(size: int | None, queued: int = 0) -> WindowSample:
    return WindowSample(size, 128, queued)


def test_a_window_that_narrows_at_every_look_is_a_client_that_does_not_read() -> None:
    found = looks(*(window(WIDE - number * MIN_PIECE_BYTES) for number in range(6)))
    assert found == [True, True, True, False, False, False]


def test_a_window_that_is_as_wide_as_ever_is_one_that_reads() -> None:
    assert all(looks(*[window(WIDE)] * 20))


def test_a_window_that_opens_again_is_one_that_reads_slowly() -> None:
    sizes = [WIDE, WIDE - MIN_PIECE_BYTES, WIDE - 2 * MIN_PIECE_BYTES, WIDE - MIN_PIECE_BYTES] * 5
    assert all(looks(*map(window, sizes)))


def test_a_window_that_narrows_a_little_says_nothing_yet() -> None:
    assert all(looks(*(window(WIDE - number) for number in range(20))))


def test_what_is_never_acknowledged_is_not_read_either() -> None:
    assert looks(*[window(None, 100)] * 5) == [True, True, True, False, False]
    assert all(looks(*[window(None)] * 20)), "an old kernel says no window"


def test_a_slow_line_is_no_client_that_does_not_read() -> None:
    assert all(looks(*(WindowSample(WIDE, 128, 30_000, number * 1000) for number in range(20))))


def test_a_client_seems_not_to_read_one_look_before_it_is_sure() -> None:
    reading = ReceiveWindow()
    assert not reading.lags
    for _ in range(STALLED_CHECKS):
        assert reading.update(window(WIDE, 1))
    assert reading.lags
    assert reading.update(window(WIDE))
    assert not reading.lags


def test_pieces_are_large_enough_to_show_in_the_unit_of_the_window() -> None:
    assert piece(WindowSample(WIDE, 128, 0)) == MIN_PIECE_BYTES
    assert piece(WindowSample(WIDE, 16384, 0)) == 32768


@pytest.mark.parametrize("reads", [True, False])
def test_a_real_client_is_found_out_by_its_window(reads: bool) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        ours, _ = listening.accept()
        with ours:
            reading, alive = ReceiveWindow(), True
            for _ in range(40):
                seen = read_window(ours.fileno())
                alive = alive and reading.update(seen)
                ours.sendall(b" " * piece(seen))
                if reads:
                    client.recv(piece(seen), socket.MSG_WAITALL)
                    client.sendall(b".")  # what it acknowledges has its new window
                    ours.recv(1)
            assert alive is reads
        assert ours.fileno() == -1, "a look leaves the socket as it was"


@pytest.mark.parametrize("taken", [True, False])
def test_a_cut_connection_leaves_nothing_with_the_kernel_and_what_was_taken_ends_in_order(taken: bool) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listening.getsockname())
            ours, _ = listening.accept()
            ours.setblocking(False)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
            file = ours.fileno()
            transport.write(b"x" if taken else b"x" * 100_000)
            await until(lambda: (unacknowledged(file) == 0) is taken)
            cut(transport)
            await asyncio.sleep(0.01)
            if taken:
                assert (client.recv(10), client.recv(10)) == (b"x", b"")
            else:
                with pytest.raises(ConnectionResetError):
                    all(iter(lambda: client.recv(100_000), b""))

    run(test())


def test_what_has_ended_already_can_be_cut() -> None:
    """A transport of uvloop that is closed has a socket whose number is -1, which is a `ValueError` for what asks
    it.
    """

    async def test() -> None:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.transport.abort()
            await until(lambda: writer.transport.get_extra_info("socket").fileno() == -1)
            cut(writer.transport)

    run(test())


def test_how_long_ago_a_silent_client_connected_is_known() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as client, listening.accept()[0] as accepted:
            assert connected_for(accepted) < 5.0
            until = time.monotonic() + 10.0
            while connected_for(accepted) < 0.02 and time.monotonic() < until:
                time.sleep(0.01)
            assert 0.02 <= connected_for(accepted) < 10.0
            assert client.fileno() >= 0


def test_where_the_system_does_not_say_it_none_has_waited() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert connected_for(one) == 0.0


Client = Callable[[Application], Awaitable[TestClient]]  # type: ignore[type-arg]


async def ask(client: TestClient, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # type: ignore[type-arg]
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readline()
    return reader, writer


async def test_an_events_client_that_does_not_read_is_cut_off(
    aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_window, "PIECE_TIMEOUT_SECONDS", 0.05)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    _, writer = await ask(client, "/api/v1/events")
    await until(lambda: "1 listeners" in repr(api.events))
    async with asyncio.timeout(60):
        while "1 listeners" in repr(api.events):
            api.events.publish("config", detail="x" * 100_000)
            await asyncio.sleep(0)
    writer.close()


async def test_a_scraper_that_does_not_read_is_cut_off(aiohttp_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive_window, "PIECE_TIMEOUT_SECONDS", 0.05)
    pieces = 0

    class Long(Exposition):
        def blocks(self, _: ExpositionFormat) -> Iterator[bytes]:
            nonlocal pieces
            while pieces < 10_000:
                pieces += 1
                yield b"x" * 100_000

        def length(self, _: ExpositionFormat) -> int:
            return 10_000 * 100_000

    monkeypatch.setattr(metrics_endpoint, "Exposition", Long)
    api = await Api().start()
    client = await aiohttp_client(admin_application(api.knowledge, api.gate))
    reader, writer = await ask(client, "/metrics")
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):  # noqa: PT012 - it comes sooner or later
        async with asyncio.timeout(60):
            await asyncio.sleep(0.3)
            while True:
                await reader.readexactly(100_000)
    assert pieces < 1000
    writer.close()
