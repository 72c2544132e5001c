"""Both ends of a link, over a real socket pair."""

import asyncio
import contextlib
import logging
import socket
import time

import pytest

from canaryproxy.ipc import channel as module
from canaryproxy.ipc import codec
from canaryproxy.ipc.channel import BURST_MESSAGES, LOOP_SHARE, Channel, TimeShare
from canaryproxy.ipc.codec import DOWN, UP, encode
from canaryproxy.ipc.messages import Acknowledged, Drain, Drained, Message
from canaryproxy.model.report import Delta, MirrorDelta
from tests.support.cluster import PATIENCE, run


class End:
    """What one end received."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lost = asyncio.Event()
        self.wire = Channel(self.messages.append, self.lost.set)


async def raw() -> tuple[End, socket.socket]:
    """An end, and a socket that says whatever a test likes."""
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.setblocking(False)
    end = End()
    await end.wire.connect(asyncio.get_running_loop(), one)
    return end, other


async def pair() -> tuple[End, End]:
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.setblocking(False)
    ends = End(), End()
    ends[0].wire.send(Acknowledged(1))
    await ends[0].wire.connect(asyncio.get_running_loop(), one)
    await ends[1].wire.connect(asyncio.get_running_loop(), other)
    return ends


async def until(end: End, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(end.messages) < count:
            await asyncio.sleep(0.005)


def test_messages_sent_before_and_after_connecting_arrive_in_order() -> None:
    async def test() -> None:
        ours, theirs = await pair()
        ours.wire.send(Acknowledged(2))
        theirs.wire.send(Drained(0))
        await until(theirs, 2)
        await until(ours, 1)
        assert theirs.messages == [Acknowledged(1), Acknowledged(2)]
        ours.wire.close()
        await asyncio.wait_for(theirs.lost.wait(), PATIENCE)
        await asyncio.wait_for(ours.lost.wait(), PATIENCE)
        ours.wire.send(Acknowledged(3))

    run(test())


def test_an_end_that_is_not_understood_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    async def test() -> None:
        ours, other = await raw()
        other.send(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(ours.lost.wait(), PATIENCE)
        assert "protocol error on the IPC channel" in caplog.text
        other.close()

    run(test())


def test_an_end_that_does_not_read_congests_the_other() -> None:
    async def test() -> None:
        ours, other = await raw()
        async with asyncio.timeout(PATIENCE):
            while not ours.wire.congested:
                ours.wire.send(Acknowledged(5))
            while ours.wire.congested:
                with contextlib.suppress(BlockingIOError):
                    other.recv(2**20)
                await asyncio.sleep(0.001)
        ours.wire.close()
        other.close()

    run(test())


def test_a_share_is_what_it_says_over_any_time() -> None:
    """A link that takes all that is allowed gets a third of the time, after a first second; a pause gives back no
    more.
    """
    share, now, taken = TimeShare(100.0), 100.0, 0.0
    while now < 160.0:
        now += 0.05
        taken += 0.05
        now += share.spend(0.05, now)
    assert taken == pytest.approx(BURST_MESSAGES + 60 * LOOP_SHARE, rel=0.1)
    assert share.spend(0.0, now + 3_600) == 0
    assert share.spend(BURST_MESSAGES + 1, now + 3_600) == pytest.approx(1 / LOOP_SHARE)


def test_a_flood_on_one_link_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message takes longer than a turn: others that wait for the loop run between any two of them."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    order: list[str] = []

    class Transport:
        """Counts how often it is paused."""

        paused = 0

        def pause_reading(self) -> None:
            self.paused += 1

        def resume_reading(self) -> None:
            """Nothing comes by itself."""

        def is_closing(self) -> bool:
            return False

        def set_write_buffer_limits(self, high: int) -> None:
            """Nothing is written."""

        def abort(self) -> None:
            """Nothing is open."""

    async def test() -> None:
        def received(_: Message) -> None:
            order.append("message")
            clock[0] += 0.02

        def other() -> None:
            order.append("other")
            if order.count("message") < 20:
                loop.call_soon(other)

        loop, transport = asyncio.get_running_loop(), Transport()
        wire = Channel(received, lambda: None, UP, fair=True)
        wire._loop = loop
        wire.connection_made(transport)  # type: ignore[arg-type]
        loop.call_soon(other)
        wire.data_received(encode(Acknowledged(1)) * 20)
        assert order == ["message"]
        async with asyncio.timeout(PATIENCE):
            while order.count("message") < 20:
                await asyncio.sleep(0)
        assert "message message" not in " ".join(order)
        assert transport.paused == 20

    run(test())


def test_a_link_that_took_more_than_its_share_waits_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_MESSAGES", 0.0)
    heard: list[Message] = []

    async def test() -> None:
        one, other = socket.socketpair()
        for sock in (one, other):
            sock.setblocking(False)
        lost = asyncio.Event()
        ours = Channel(heard.append, lost.set, UP, fair=True)
        theirs = Channel(heard.append, lambda: None, DOWN)
        loop = asyncio.get_running_loop()
        await ours.connect(loop, one)
        await theirs.connect(loop, other)
        for number in range(500):
            theirs.send(Acknowledged(number))
        theirs.close()
        await asyncio.wait_for(lost.wait(), PATIENCE)
        assert heard == [Acknowledged(number) for number in range(500)]

    run(test())


def test_time_in_which_we_were_stopped_is_no_time_that_a_worker_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long: a worker that is not heard is killed. One that did take long is heard again soon, too."""
    clock, worked = [0.0], [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "thread_time", lambda: worked[0])
    pauses: list[float] = []

    def hold(pause: float, *, turned: bool) -> None:
        pauses.append(pause)

    async def test() -> None:
        def received(message: Message) -> None:
            clock[0] += 60.0
            worked[0] += 10.0 if message == Acknowledged(2) else 0.001

        wire = Channel(received, lambda: None, UP, fair=True)
        monkeypatch.setattr(wire, "_pause", hold)
        wire.data_received(encode(Acknowledged(1)))
        wire.data_received(encode(Acknowledged(2)))

    run(test())
    assert pauses == [0.0, module.MAX_PAUSE_SECONDS]


def test_nothing_is_heard_after_a_link_was_cut_in_the_middle_of_what_came() -> None:
    async def test() -> None:
        ours, other = await raw()
        heard: list[Message] = []

        def received(message: Message) -> None:
            heard.append(message)
            ours.wire.abort()

        ours.wire._received = received
        other.send(encode(Acknowledged(1)) + encode(Acknowledged(2)) + b"garbage that is no frame")
        await asyncio.wait_for(ours.lost.wait(), PATIENCE)
        other.close()
        assert heard == [Acknowledged(1)]

    run(test())


def test_why_a_link_is_cut_is_said_to_who_asked_for_it() -> None:
    async def test() -> None:
        said: list[str] = []
        one, other = socket.socketpair()
        for sock in (one, other):
            sock.setblocking(False)
        lost = asyncio.Event()
        ours = Channel(lambda _: None, lost.set, UP, refuse=said.append)
        await ours.connect(asyncio.get_running_loop(), one)
        await asyncio.get_running_loop().sock_sendall(other, encode(Drain()))
        await asyncio.wait_for(lost.wait(), PATIENCE)
        other.close()
        assert said == ["Drain does not come this way"]

    run(test())


def test_a_long_report_arrives_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "ENTRIES", 3)

    async def test() -> None:
        ours, theirs = await pair()
        ours.wire.send(Delta(1, 2.0, mirrors=tuple(MirrorDelta(str(number)) for number in range(10))))
        await until(theirs, 5)
        parts = [one for one in theirs.messages if isinstance(one, Delta)]
        assert [one.route for part in parts for one in part.mirrors] == [str(number) for number in range(10)]
        ours.wire.close()

    run(test())
