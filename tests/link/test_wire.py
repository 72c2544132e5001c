"""Both ends of a link, over a real socket pair."""

import asyncio
import logging
import socket

import pytest

from canaryproxy.link.messages import Acknowledged, Drained, Message
from canaryproxy.link.wire import Wire
from tests.support.world import PATIENCE, run


class End:
    """What one end was told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lost = asyncio.Event()
        self.wire = Wire(self.messages.append, self.lost.set)


async def pair() -> tuple[End, End, socket.socket]:
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.setblocking(False)
    ends = End(), End()
    ends[0].wire.send(Acknowledged(1))
    await ends[0].wire.connect(asyncio.get_running_loop(), one)
    await ends[1].wire.connect(asyncio.get_running_loop(), other)
    return *ends, other


async def until(end: End, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(end.messages) < count:
            await asyncio.sleep(0.005)


def test_messages_sent_before_and_after_connecting_arrive_in_order() -> None:
    async def test() -> None:
        ours, theirs, _ = await pair()
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
        ours, theirs, _ = await pair()
        assert theirs.wire._transport is not None
        theirs.wire._transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(ours.lost.wait(), PATIENCE)
        assert "not understood" in caplog.text

    run(test())


def test_an_end_that_does_not_read_congests_the_other() -> None:
    async def test() -> None:
        ours, theirs, _ = await pair()
        assert "clear" in repr(ours.wire)
        assert theirs.wire._transport is not None
        theirs.wire._transport.pause_reading()
        async with asyncio.timeout(PATIENCE):
            while not ours.wire.congested:
                ours.wire.send(Acknowledged(5))
            assert "congested" in repr(ours.wire)
            theirs.wire._transport.resume_reading()
            while ours.wire.congested:
                await asyncio.sleep(0.005)
        ours.wire.close()

    run(test())
