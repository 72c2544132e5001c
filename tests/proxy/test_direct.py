"""Connections read and written directly, beside the loops' own transports: what both promise, both keep."""

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, cast

import pytest
import uvloop

try:
    from canaryproxy.proxy.direct import Poller
except ImportError:
    Poller = None  # type: ignore[assignment, misc]

MIB = 2**20
PATIENCE = 20.0
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
        self.told: list[str] = []
        self.data = bytearray()
        self.error: BaseException | None = None
        self.gone = asyncio.Event()
        self.calling = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        if self.told[-1] != "data":
            self.told.append("data")
        with self.call():
            self.on_data(data)

    def on_data(self, data: bytes) -> None:
        """For others to say."""

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.stay

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        assert not self.calling
        self.told.append("lost")
        self.error = error
        self.gone.set()

    @contextlib.contextmanager
    def call(self) -> Any:
        """Within it no end may be told."""
        self.calling += 1
        yield
        self.calling -= 1

    async def has(self, size: int) -> bytes:
        """What it heard, once it is so much."""
        while len(self.data) < size:
            await asyncio.sleep(0.001)
        return bytes(self.data)

    async def is_told(self, what: str) -> None:
        while what not in self.told:
            await asyncio.sleep(0.001)


class Lab:
    """A loop with connections whose far ends are bare sockets."""

    def __init__(self, direct: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.poller = Poller(self.loop) if direct else None
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

    async def adopt(self, sock: socket.socket, hearer: Hearer) -> asyncio.Transport:
        """A socket under test."""
        self.hearers.append(hearer)
        if self.poller is not None:
            self.poller.adopt(sock, hearer)
        else:
            await self.loop.connect_accepted_socket(lambda: hearer, sock)
        return hearer.transport

    async def open(
        self, hearer: Hearer | None = None, buffers: int = 0
    ) -> tuple[asyncio.Transport, Hearer, socket.socket]:
        """A connection under test, who hears of it, and its far end."""
        near, far = self.wire(buffers)
        self.bare.append(far)
        hearer = hearer or Hearer()
        return await self.adopt(near, hearer), hearer, far

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
        for hearer in self.hearers:
            if not hearer.gone.is_set():
                hearer.transport.abort()
        if self.poller is not None:
            self.poller.close()
        for far in self.bare:
            far.close()


@contextlib.asynccontextmanager
async def laboratory(direct: bool) -> AsyncIterator[Lab]:
    lab = Lab(direct)
    try:
        yield lab
    finally:
        lab.end()
        for hearer in lab.hearers:
            await hearer.gone.wait()
        await asyncio.sleep(0)


Story = Callable[[Lab], Coroutine[Any, Any, None]]


def on(kinds: Any) -> Callable[[Story], Callable[[Kind], None]]:
    """Run a story on each of these. What the loop is told of must be looked at, or there must be nothing."""

    def wrap(story: Story) -> Callable[[Kind], None]:
        async def whole(direct: bool) -> None:
            async with asyncio.timeout(PATIENCE), laboratory(direct) as lab:
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


async def fill(lab: Lab, transport: asyncio.Transport) -> int:
    """Write until the kernel takes no more; how much waits then, and does not become less by itself."""
    transport.set_write_buffer_limits(2**30)
    transport.write(PATTERN)
    before = -1
    while transport.get_write_buffer_size() != before:
        before = transport.get_write_buffer_size()
        await asyncio.sleep(0.02)
    assert before
    return before


# Writing.


@on(ALIKE)
async def test_what_is_written_arrives_in_order(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    transport.write(b"a")
    transport.write(b"")
    transport.writelines([b"b", b"", b"cd"])
    transport.write(bytearray(b"e"))
    transport.write(memoryview(b"fgh")[1:])
    assert await lab.read(far, 7) == b"abcdegh"
    assert transport.get_write_buffer_size() == 0
    assert hearer.told == ["made"]


@on(ALIKE)
async def test_what_the_kernel_does_not_take_waits_and_is_not_lost(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.writelines([b"more", PATTERN[:100_000]])
    transport.write(b"end")
    await hearer.is_told("pause")
    whole = PATTERN + b"more" + PATTERN[:100_000] + b"end"
    assert await lab.read(far, len(whole)) == whole
    await hearer.is_told("resume")
    assert hearer.told == ["made", "pause", "resume"]
    assert transport.get_write_buffer_size() == 0


@on(ALIKE)
async def test_the_writer_is_asked_to_wait_above_the_limit_and_no_longer_at_a_quarter_of_it(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    waiting = await fill(lab, transport)
    limit = waiting + 1_000
    transport.set_write_buffer_limits(limit)
    transport.write(b"x" * 1_000)
    await asyncio.sleep(0.01)
    assert transport.get_write_buffer_size() == limit
    assert hearer.told == ["made"]
    transport.write(b"y")
    await hearer.is_told("pause")
    transport.write(b"z")
    taken = 0
    while "resume" not in hearer.told:
        left = transport.get_write_buffer_size()
        taken += len(await lab.read(far, 20_000))
        await asyncio.sleep(0)
    assert left <= limit
    assert transport.get_write_buffer_size() <= limit // 4
    assert hearer.told == ["made", "pause", "resume"]
    rest = await lab.read(far, len(PATTERN) + 1_002 - taken)
    assert rest.endswith(b"xyz")


@on(DIRECT)
async def test_what_waits_is_a_copy(lab: Lab) -> None:
    transport, _, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    room = bytearray(b"before")
    transport.write(room)
    room[:] = b"behind"
    assert (await lab.read(far, len(PATTERN) + 6)).endswith(b"before")


# Reading.


@on(ALIKE)
async def test_nothing_is_heard_while_reading_pauses(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    await lab.send(far, b"one")
    await hearer.has(3)
    transport.pause_reading()
    sending = asyncio.ensure_future(lab.send(far, PATTERN))
    await asyncio.sleep(0.05)
    assert hearer.data == b"one"
    transport.resume_reading()
    assert await hearer.has(3 + len(PATTERN)) == b"one" + PATTERN
    await sending


@on(ALIKE)
async def test_a_pause_holds_from_within_what_is_heard(lab: Lab) -> None:
    class Shy(Hearer):
        def on_data(self, data: bytes) -> None:
            self.transport.pause_reading()

    transport, hearer, far = await lab.open(Shy())
    await lab.send(far, b"one")
    await hearer.has(3)
    await lab.send(far, b"two")
    await asyncio.sleep(0.02)
    assert hearer.data == b"one"
    transport.resume_reading()
    await hearer.has(6)


@on(ALIKE)
async def test_another_hearer_hears_what_comes_later(lab: Lab) -> None:
    transport, first, far = await lab.open()
    await lab.send(far, b"one")
    await first.has(3)
    second = Hearer()
    second.connection_made(transport)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    await lab.send(far, b"two")
    assert await second.has(3) == b"two"
    assert first.data == b"one"
    far.close()
    await second.gone.wait()
    assert first.told == ["made", "data"]
    first.gone.set()


# Half-closing.


@on(ALIKE)
async def test_a_peer_that_sends_no_more_may_still_be_written_to(lab: Lab) -> None:
    transport, hearer, far = await lab.open(Hearer(stay=True))
    await lab.send(far, b"all")
    far.shutdown(socket.SHUT_WR)
    await hearer.is_told("eof")
    assert not transport.is_closing()
    transport.write(PATTERN)
    assert await lab.read(far, len(PATTERN)) == PATTERN
    transport.close()
    assert await lab.read(far) == b""
    await hearer.gone.wait()
    assert [told for told in hearer.told if told not in ("pause", "resume")] == ["made", "data", "eof", "lost"]
    assert hearer.error is None


@on(ALIKE)
async def test_a_connection_nobody_wants_to_keep_half_open_closes(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    far.shutdown(socket.SHUT_WR)
    await hearer.gone.wait()
    assert hearer.told == ["made", "eof", "lost"]
    assert hearer.error is None
    assert transport.is_closing()
    assert await lab.read(far) == b""


@on(ALIKE)
async def test_our_own_end_comes_behind_what_waits_and_we_still_listen(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    assert transport.can_write_eof()
    transport.write(PATTERN)
    transport.write_eof()
    assert await lab.read(far) == PATTERN
    await lab.send(far, b"answer")
    await hearer.has(6)
    assert not transport.is_closing()
    far.close()
    await hearer.gone.wait()
    assert hearer.told[-2:] == ["eof", "lost"]
    assert hearer.error is None


@on(ALIKE)
async def test_our_own_end_comes_at_once_where_nothing_waits(lab: Lab) -> None:
    transport, hearer, far = await lab.open(Hearer(stay=True))
    transport.write_eof()
    assert await lab.read(far) == b""
    far.shutdown(socket.SHUT_WR)
    await hearer.is_told("eof")
    await asyncio.sleep(0.01)
    assert hearer.told == ["made", "eof"]
    transport.close()
    await hearer.gone.wait()


# The end.


@on(ALIKE)
async def test_closing_sends_what_waits_first(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    transport.write(PATTERN)
    transport.close()
    assert transport.is_closing()
    await lab.send(far, b"ignored")
    await asyncio.sleep(0.01)
    assert "lost" not in hearer.told
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := await lab.loop.sock_recv(far, MIB):
            got += piece
    assert bytes(got) == PATTERN
    await hearer.gone.wait()
    assert hearer.error is None
    assert not hearer.data


@on(ALIKE)
async def test_aborting_discards_what_waits(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    transport.abort()
    assert transport.is_closing()
    await hearer.gone.wait()
    assert hearer.error is None
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := await lab.loop.sock_recv(far, MIB):
            got += piece
    assert len(got) < len(PATTERN)


@on(ALIKE)
async def test_the_end_is_told_once_and_never_within_another_call(lab: Lab) -> None:
    class Rash(Hearer):
        def on_data(self, data: bytes) -> None:
            getattr(self.transport, data.decode())()
            self.transport.abort()
            self.transport.close()

    for how in (b"close", b"abort"):
        transport, hearer, far = await lab.open(Rash())
        await lab.send(far, how)
        await hearer.gone.wait()
        assert hearer.told == ["made", "data", "lost"]
    transport, hearer, far = await lab.open()
    with hearer.call():
        transport.write(b"bye")
        transport.close()
        transport.abort()
    assert "lost" not in hearer.told
    await hearer.gone.wait()
    await asyncio.sleep(0.01)
    assert hearer.told == ["made", "lost"]


@on(DIRECT)
async def test_a_connection_that_is_gone_takes_no_harm(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    assert "closing" not in repr(transport)
    transport.close()
    await hearer.gone.wait()
    await asyncio.sleep(0)
    transport.write(b"x")
    transport.writelines([b"x"])
    transport.write_eof()
    transport.pause_reading()
    transport.resume_reading()
    transport.close()
    transport.abort()
    await asyncio.sleep(0.01)
    assert hearer.told == ["made", "lost"]
    assert "closing" in repr(transport)
    assert transport.get_extra_info("peername", "nobody") == "nobody"
    assert await lab.read(far) == b""


@on(ALIKE)
async def test_who_is_there(lab: Lab) -> None:
    transport, _, far = await lab.open()
    assert transport.get_extra_info("peername") == far.getsockname()
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("no such thing", 7) == 7


# What breaks.


@on(ALIKE)
async def test_a_reset_is_noticed_while_reading(lab: Lab) -> None:
    _, hearer, far = await lab.open()
    lab.reset(far)
    await hearer.gone.wait()
    assert hearer.told == ["made", "lost"]
    assert isinstance(hearer.error, ConnectionResetError)


@on(ALIKE)
async def test_a_reset_is_noticed_by_a_write_while_reading_pauses(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    transport.pause_reading()
    lab.reset(far)
    while not hearer.gone.is_set():
        with hearer.call():
            transport.write(b"x")
        await asyncio.sleep(0.005)
    assert hearer.told == ["made", "lost"]
    assert isinstance(hearer.error, OSError)


@on(ALIKE)
async def test_a_reset_is_noticed_while_something_waits(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    transport.pause_reading()
    await fill(lab, transport)
    lab.reset(far)
    await hearer.gone.wait()
    assert isinstance(hearer.error, OSError)


@on(ALIKE)
async def test_a_reset_ends_a_connection_that_is_closing(lab: Lab) -> None:
    transport, hearer, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    transport.close()
    lab.reset(far)
    await hearer.gone.wait()


@on(DIRECT)
async def test_what_the_peer_said_before_it_reset_our_upload_is_still_heard(lab: Lab) -> None:
    """On the loop's own transports the failed write ends the connection and the answer is lost."""
    for waiting in (False, True):
        transport, hearer, far = await lab.open(buffers=TIGHT)
        if waiting:
            await fill(lab, transport)
        else:
            await asyncio.sleep(0.01)
        far.send(b"HTTP/1.1 413 Too Large\r\n\r\n")
        lab.reset(far)
        at_once()
        with hearer.call():
            transport.write(b"x")
            transport.write(b"y")
        await hearer.gone.wait()
        assert hearer.told == ["made", "data", "lost"]
        assert hearer.data == b"HTTP/1.1 413 Too Large\r\n\r\n"
        assert isinstance(hearer.error, OSError)


@on(DIRECT)
async def test_an_end_behind_a_failed_write_is_no_clean_one(lab: Lab) -> None:
    transport, hearer, far = await lab.open(Hearer(stay=True))
    lab.reset(far)
    at_once()
    transport.write(b"x")
    await hearer.gone.wait()
    assert hearer.told == ["made", "lost"]
    assert isinstance(hearer.error, OSError)


@on(DIRECT)
async def test_what_was_said_before_a_failed_write_is_not_waited_for_while_reading_pauses(lab: Lab) -> None:
    transport, hearer, far = await lab.open()
    await asyncio.sleep(0.01)
    far.send(b"last words")
    lab.reset(far)
    at_once()
    transport.write(b"x")
    with hearer.call():
        transport.pause_reading()
    await hearer.gone.wait()
    assert hearer.told == ["made", "lost"]
    assert isinstance(hearer.error, OSError)


@on(DIRECT)
async def test_a_write_that_fails_behind_the_peers_end_ends_the_connection(lab: Lab) -> None:
    transport, hearer, far = await lab.open(Hearer(stay=True))
    far.shutdown(socket.SHUT_WR)
    await hearer.is_told("eof")
    lab.reset(far)
    at_once()
    transport.write(b"x")
    await hearer.gone.wait()
    assert hearer.told == ["made", "eof", "lost"]
    assert isinstance(hearer.error, OSError)


@on(DIRECT)
async def test_a_fault_of_one_ends_that_one_alone_and_is_reported(lab: Lab) -> None:
    class Faulty(Hearer):
        def on_data(self, data: bytes) -> None:
            self.calling = 0
            raise ValueError("a fault")

        def eof_received(self) -> bool:
            raise ValueError("a fault")

    (_, one, far), (_, silent, ended), (transport, other, healthy) = [
        await lab.open(hearer) for hearer in (Faulty(), Faulty(), Hearer())
    ]
    far.send(b"x")
    ended.shutdown(socket.SHUT_WR)
    healthy.send(b"y")
    await one.gone.wait()
    await silent.gone.wait()
    await other.has(1)
    assert isinstance(one.error, ValueError)
    assert await lab.read(far) == b""
    assert [str(context["exception"]) for context in lab.reported] == ["a fault", "a fault"]
    assert {id(context["protocol"]) for context in lab.reported} == {id(one), id(silent)}
    transport.write(b"still here")
    assert await lab.read(healthy, 10) == b"still here"
    lab.reported.clear()


@on(DIRECT)
async def test_a_fault_at_the_end_is_reported_and_the_socket_closed(lab: Lab) -> None:
    class Faulty(Hearer):
        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            raise ValueError("a fault")

    transport, _, far = await lab.open(Faulty())
    transport.close()
    assert await lab.read(far) == b""
    assert [str(context["exception"]) for context in lab.reported] == ["a fault"]
    lab.reported.clear()


@on(DIRECT)
async def test_who_fails_at_once_is_not_kept(lab: Lab) -> None:
    class Faulty(Hearer):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            raise ValueError("a fault")

    near, far = lab.wire()
    lab.bare.append(far)
    with pytest.raises(ValueError, match="a fault"):
        await lab.adopt(near, Faulty())
    assert await lab.read(far) == b""
    assert repr(lab.poller) == "<Poller 0 connections>"


# Many, and much.


class Pump(Hearer):
    """Sends so many bytes as fast as it is let, and now and then reads no more for a moment."""

    def __init__(self, seed: int, size: int) -> None:
        super().__init__(stay=True)
        self.dice = random.Random(seed)
        self.left = size
        self.sent = hashlib.blake2b()
        self.heard = hashlib.blake2b()
        self.received = 0
        self.may = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(self.dice.choice([1_000, 65_536, 2 * MIB]))
        asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        while self.may and self.left:
            start = self.dice.randrange(len(PATTERN))
            piece = PATTERN[start : start + min(self.left, self.dice.choice([1, 700, 16_384, 300_000]))]
            self.left -= len(piece)
            self.sent.update(piece)
            if not self.left:
                self.transport.write(piece)
                self.transport.write_eof()
            elif self.dice.random() < 0.2:
                self.transport.writelines([piece[:10], piece[10:]])
            else:
                self.transport.write(piece)

    def pause_writing(self) -> None:
        self.may = False

    def resume_writing(self) -> None:
        self.may = True
        self.pump()

    def data_received(self, data: bytes) -> None:
        self.heard.update(data)
        self.received += len(data)
        if self.dice.random() < 0.05:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.dice.random() * 0.002, self.transport.resume_reading)


@on(ALIKE)
async def test_64_mib_both_ways_with_pauses_arrive_byte_for_byte(lab: Lab) -> None:
    size = 64 * MIB if lab.direct else 4 * MIB
    one, other = Pump(1, size), Pump(2, size)
    for sock, pump in zip(lab.wire(), (one, other), strict=True):
        await lab.adopt(sock, pump)
    await one.is_told("eof")
    await other.is_told("eof")
    assert (one.received, other.received) == (size, size)
    assert one.heard.digest() == other.sent.digest()
    assert other.heard.digest() == one.sent.digest()


@on(DIRECT)
async def test_more_connections_than_are_served_in_one_turn(lab: Lab) -> None:
    class Echo(Hearer):
        def on_data(self, data: bytes) -> None:
            self.transport.write(data)

    count = 300
    opened = [await lab.open(Echo()) for _ in range(count)]
    assert repr(lab.poller) == f"<Poller {count} connections>"
    for turn in range(3):
        for number, (_, _, far) in enumerate(opened):
            far.send(b"%d.%d" % (turn, number))
        for number, (_, _, far) in enumerate(opened):
            expected = b"%d.%d" % (turn, number)
            assert await lab.read(far, len(expected)) == expected
    for transport, _, _ in opened:
        transport.close()
    for _, hearer, far in opened:
        await hearer.gone.wait()
        assert await lab.read(far) == b""
    assert repr(lab.poller) == "<Poller 0 connections>"


@on(DIRECT)
async def test_a_descriptor_is_used_again_right_after_it_was_closed(lab: Lab) -> None:
    reused = 0
    for number in range(50):
        transport, hearer, far = await lab.open()
        descriptor = transport.get_extra_info("socket").fileno()
        far.send(b"late")
        if number % 2:
            transport.close()
        else:
            transport.abort()
        await hearer.gone.wait()
        again, second, other = await lab.open()
        reused += again.get_extra_info("socket").fileno() == descriptor
        other.send(b"%d" % number)
        assert await second.has(len(str(number))) == b"%d" % number
        again.write(b"ok")
        assert await lab.read(other, 2) == b"ok"
        assert not hearer.data
        again.close()
        await second.gone.wait()
    assert reused


@on(DIRECT)
async def test_closing_the_poller_aborts_what_is_open(lab: Lab) -> None:
    opened = [await lab.open(buffers=TIGHT) for _ in range(5)]
    await fill(lab, opened[0][0])
    opened[1][0].pause_reading()
    opened[2][0].close()
    assert lab.poller is not None
    lab.poller.close()
    lab.poller.close()
    for transport, hearer, far in opened:
        await hearer.gone.wait()
        assert hearer.error is None
        assert transport.is_closing()
        with contextlib.suppress(ConnectionResetError):
            await lab.read(far)
