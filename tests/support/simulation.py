"""Connections under test, on every loop and with every transport, with bare sockets at their far ends."""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, cast

import pytest
import uvloop

from canaryproxy.dataplane.epoll_transports import open_poller

MIB = 2**20
PATIENCE = 60.0
TIGHT = 65_536
"""Buffers of sockets that are to be full soon."""


class Kind(NamedTuple):
    """A loop, and who moves the bytes on it."""

    loop: Callable[[], asyncio.AbstractEventLoop]
    direct: bool


DIRECT = [
    pytest.param(Kind(uvloop.new_event_loop, True), id="direct on uvloop", marks=pytest.mark.compiled),
    pytest.param(Kind(asyncio.new_event_loop, True), id="direct on asyncio", marks=pytest.mark.compiled),
]
ALIKE = [
    *DIRECT,
    pytest.param(Kind(uvloop.new_event_loop, False), id="uvloop's own"),
    pytest.param(Kind(asyncio.new_event_loop, False), id="asyncio's own"),
]


class Hearer(asyncio.Protocol):
    """Writes down what it hears, in order, and in between whose call it hears it in."""

    transport: asyncio.Transport

    def __init__(self, *, stay: bool = False) -> None:
        self.stay = stay
        self.notified: list[str] = []
        self.data = bytearray()
        self.error: BaseException | None = None
        self.gone = asyncio.Event()
        self.calling = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.notified.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        if self.notified[-1] != "data":
            self.notified.append("data")
        with self.call():
            self.on_data(data)

    def on_data(self, data: bytes) -> None:
        """For others to say."""

    def eof_received(self) -> bool:
        self.notified.append("eof")
        return self.stay

    def pause_writing(self) -> None:
        self.notified.append("pause")

    def resume_writing(self) -> None:
        self.notified.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        assert not self.calling
        self.notified.append("lost")
        self.error = error
        self.gone.set()

    @contextlib.contextmanager
    def call(self) -> Any:
        """Within it no end may be notified."""
        self.calling += 1
        yield
        self.calling -= 1

    async def has(self, size: int) -> bytes:
        """What it heard, once it is so much."""
        while len(self.data) < size:
            await asyncio.sleep(0.001)
        return bytes(self.data)

    async def is_notified(self, what: str) -> None:
        while what not in self.notified:
            await asyncio.sleep(0.001)


class Simulation:
    """A loop with connections whose far ends are bare sockets."""

    def __init__(self, direct: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.poller = open_poller(self.loop) if direct else None
        self.direct = direct
        self.reported: list[dict[str, Any]] = []
        self.bare: list[socket.socket] = []
        self.hearers: list[Hearer] = []
        self.loop.set_exception_handler(lambda _, context: self.reported.append(context))

    def wire(self, buffers: int = 0) -> tuple[socket.socket, socket.socket]:
        """Two connected sockets."""
        with socket.socket() as listening, contextlib.ExitStack() as undo:
            near = socket.socket(proto=socket.IPPROTO_TCP)
            undo.callback(near.close)
            if buffers:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
                near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            near.connect(listening.getsockname())
            far = listening.accept()[0]
            undo.pop_all()
        near.setblocking(False)
        far.setblocking(False)
        return near, far

    async def adopt(self, sock: socket.socket, protocol: Hearer) -> asyncio.Transport:
        """A socket under test."""
        self.hearers.append(protocol)
        if self.poller is not None:
            self.poller.adopt(sock, protocol)
        else:
            await self.loop.connect_accepted_socket(lambda: protocol, sock)
        return protocol.transport

    async def open(
        self, protocol: Hearer | None = None, buffers: int = 0
    ) -> tuple[asyncio.Transport, Hearer, socket.socket]:
        """A connection under test, who hears of it, and its far end."""
        near, far = self.wire(buffers)
        self.bare.append(far)
        protocol = protocol or Hearer()
        return await self.adopt(near, protocol), protocol, far

    async def read(self, far: socket.socket, size: int = -1) -> bytes:
        """So much, or all up to the end."""
        data = bytearray()
        while size < 0 or len(data) < size:
            piece = await self.loop.sock_recv(far, 2**18 if size < 0 else min(size - len(data), 2**18))
            if not piece:
                break
            data += piece
        return bytes(data)

    async def send(self, far: socket.socket, data: bytes) -> None:
        await self.loop.sock_sendall(far, data)

    def reset(self, far: socket.socket) -> None:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()

    def end(self) -> None:
        """The far ends close, and everything else."""
        for protocol in self.hearers:
            if not protocol.gone.is_set():
                protocol.transport.abort()
        if self.poller is not None:
            self.poller.close()
        for far in self.bare:
            far.close()


@contextlib.asynccontextmanager
async def simulation(direct: bool) -> AsyncIterator[Simulation]:
    lab = Simulation(direct)
    try:
        yield lab
    finally:
        lab.end()
        for protocol in lab.hearers:
            await protocol.gone.wait()
        await asyncio.sleep(0)


Story = Callable[[Simulation], Coroutine[Any, Any, None]]


def on(kinds: Any) -> Callable[[Story], Callable[[Kind], None]]:
    """Run a story on each of these. What is reported to the loop must be looked at, or there must be nothing."""

    def wrap(story: Story) -> Callable[[Kind], None]:
        async def whole(direct: bool) -> None:
            async with asyncio.timeout(PATIENCE), simulation(direct) as lab:
                await story(lab)
                assert not lab.reported

        def test(kind: Kind) -> None:
            with asyncio.Runner(loop_factory=kind.loop) as runner:
                runner.run(whole(kind.direct))

        test.__name__, test.__doc__ = story.__name__, story.__doc__
        marked: Callable[[Kind], None] = pytest.mark.parametrize("kind", kinds)(test)
        return marked

    return wrap


def at_once() -> None:
    """Let the kernel move what it has, and the loop do nothing."""
    time.sleep(0.01)


PATTERN = random.Random(7).randbytes(4 * MIB + 13)


async def fill(lab: Simulation, transport: asyncio.Transport) -> int:
    """Write until the kernel takes no more; how much waits then, and does not become less by itself."""
    transport.set_write_buffer_limits(2**30)
    transport.write(PATTERN)
    before = -1
    while transport.get_write_buffer_size() != before:
        before = transport.get_write_buffer_size()
        await asyncio.sleep(0.02)
    assert before
    return before
