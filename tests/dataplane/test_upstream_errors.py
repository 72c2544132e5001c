"""What breaks connections, and many of them at once: read and written directly, and by the loops' own transports."""

import asyncio
import contextlib
import hashlib
import random
import socket

import pytest

from tests.support.simulation import ALIKE, DIRECT, MIB, PATTERN, TIGHT, Hearer, Simulation, at_once, fill, on

# What breaks.


@on(ALIKE)
async def test_a_reset_is_noticed_while_reading(lab: Simulation) -> None:
    _, protocol, far = await lab.open()
    lab.reset(far)
    await protocol.gone.wait()
    assert protocol.notified == ["made", "lost"]
    assert isinstance(protocol.error, ConnectionResetError)


@on(ALIKE)
async def test_a_reset_is_noticed_by_a_write_while_reading_pauses(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    transport.pause_reading()
    lab.reset(far)
    while not protocol.gone.is_set():
        with protocol.call():
            transport.write(b"x")
        await asyncio.sleep(0.005)
    assert protocol.notified == ["made", "lost"]
    assert isinstance(protocol.error, OSError)


@on(ALIKE)
async def test_a_reset_is_noticed_while_something_waits(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    transport.pause_reading()
    await fill(lab, transport)
    lab.reset(far)
    await protocol.gone.wait()
    assert isinstance(protocol.error, OSError)


@on(ALIKE)
async def test_a_reset_ends_a_connection_that_is_closing(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(buffers=TIGHT)
    await fill(lab, transport)
    transport.close()
    lab.reset(far)
    await protocol.gone.wait()


@on(DIRECT)
async def test_what_the_peer_said_before_it_reset_our_upload_is_still_heard(lab: Simulation) -> None:
    """On the loop's own transports the failed write ends the connection and the answer is lost."""
    for waiting in (False, True):
        transport, protocol, far = await lab.open(buffers=TIGHT)
        if waiting:
            await fill(lab, transport)
        else:
            await asyncio.sleep(0.01)
        far.send(b"HTTP/1.1 413 Too Large\r\n\r\n")
        lab.reset(far)
        at_once()
        with protocol.call():
            transport.write(b"x")
            transport.write(b"y")
        await protocol.gone.wait()
        assert protocol.notified == ["made", "data", "lost"]
        assert protocol.data == b"HTTP/1.1 413 Too Large\r\n\r\n"
        assert isinstance(protocol.error, OSError)


@on(DIRECT)
async def test_an_end_behind_a_failed_write_is_no_clean_one(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(Hearer(stay=True))
    lab.reset(far)
    at_once()
    transport.write(b"x")
    await protocol.gone.wait()
    assert protocol.notified == ["made", "lost"]
    assert isinstance(protocol.error, OSError)


@on(DIRECT)
async def test_what_was_said_before_a_failed_write_is_not_waited_for_while_reading_pauses(lab: Simulation) -> None:
    transport, protocol, far = await lab.open()
    await asyncio.sleep(0.01)
    far.send(b"last words")
    lab.reset(far)
    at_once()
    transport.write(b"x")
    with protocol.call():
        transport.pause_reading()
    await protocol.gone.wait()
    assert protocol.notified == ["made", "lost"]
    assert isinstance(protocol.error, OSError)


@on(DIRECT)
async def test_a_write_that_fails_behind_the_peers_end_ends_the_connection(lab: Simulation) -> None:
    transport, protocol, far = await lab.open(Hearer(stay=True))
    far.shutdown(socket.SHUT_WR)
    await protocol.is_notified("eof")
    lab.reset(far)
    at_once()
    transport.write(b"x")
    await protocol.gone.wait()
    assert protocol.notified == ["made", "eof", "lost"]
    assert isinstance(protocol.error, OSError)


@on(DIRECT)
async def test_a_fault_of_one_ends_that_one_alone_and_is_reported(lab: Simulation) -> None:
    class Faulty(Hearer):
        def on_data(self, data: bytes) -> None:
            self.calling = 0
            raise ValueError("a fault")

        def eof_received(self) -> bool:
            raise ValueError("a fault")

    (_, one, far), (_, silent, ended), (transport, other, healthy) = [
        await lab.open(protocol) for protocol in (Faulty(), Faulty(), Hearer())
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
async def test_a_fault_at_the_end_is_reported_and_the_socket_closed(lab: Simulation) -> None:
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
async def test_who_fails_at_once_is_not_kept(lab: Simulation) -> None:
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
        self.rng = random.Random(seed)
        self.left = size
        self.sent = hashlib.blake2b()
        self.heard = hashlib.blake2b()
        self.received = 0
        self.may = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(self.rng.choice([1_000, 65_536, 2 * MIB]))
        asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        while self.may and self.left:
            start = self.rng.randrange(len(PATTERN))
            piece = PATTERN[start : start + min(self.left, self.rng.choice([1, 700, 16_384, 300_000]))]
            self.left -= len(piece)
            self.sent.update(piece)
            if not self.left:
                self.transport.write(piece)
                self.transport.write_eof()
            elif self.rng.random() < 0.2:
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
        if self.rng.random() < 0.05:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.rng.random() * 0.002, self.transport.resume_reading)


@on(ALIKE)
async def test_64_mib_both_ways_with_pauses_arrive_byte_for_byte(lab: Simulation) -> None:
    size = 64 * MIB if lab.direct else 4 * MIB
    one, other = Pump(1, size), Pump(2, size)
    for sock, pump in zip(lab.wire(), (one, other), strict=True):
        await lab.adopt(sock, pump)
    await one.is_notified("eof")
    await other.is_notified("eof")
    assert (one.received, other.received) == (size, size)
    assert one.heard.digest() == other.sent.digest()
    assert other.heard.digest() == one.sent.digest()


@on(DIRECT)
async def test_more_connections_than_are_served_in_one_turn(lab: Simulation) -> None:
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
    for _, protocol, far in opened:
        await protocol.gone.wait()
        assert await lab.read(far) == b""
    assert repr(lab.poller) == "<Poller 0 connections>"


@on(DIRECT)
async def test_a_descriptor_is_used_again_right_after_it_was_closed(lab: Simulation) -> None:
    reused = 0
    for number in range(50):
        transport, protocol, far = await lab.open()
        descriptor = transport.get_extra_info("socket").fileno()
        far.send(b"late")
        if number % 2:
            transport.close()
        else:
            transport.abort()
        await protocol.gone.wait()
        again, second, other = await lab.open()
        reused += again.get_extra_info("socket").fileno() == descriptor
        other.send(b"%d" % number)
        assert await second.has(len(str(number))) == b"%d" % number
        again.write(b"ok")
        assert await lab.read(other, 2) == b"ok"
        assert not protocol.data
        again.close()
        await second.gone.wait()
    assert reused


@on(DIRECT)
async def test_closing_the_poller_aborts_what_is_open(lab: Simulation) -> None:
    opened = [await lab.open(buffers=TIGHT) for _ in range(5)]
    await fill(lab, opened[0][0])
    opened[1][0].pause_reading()
    opened[2][0].close()
    assert lab.poller is not None
    lab.poller.close()
    lab.poller.close()
    for transport, protocol, far in opened:
        await protocol.gone.wait()
        assert protocol.error is None
        assert transport.is_closing()
        with contextlib.suppress(ConnectionResetError):
            await lab.read(far)
