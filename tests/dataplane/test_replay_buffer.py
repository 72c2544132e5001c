"""What is kept of a request's body is counted, and forgotten with the exchange. Floods of it are in test_shedding."""

import asyncio

import pytest

from canaryproxy.dataplane.buffers import PIECE, WATER, Buffers
from canaryproxy.dataplane.replay_buffer import REPLAY_LIMIT, ReplayBuffer
from canaryproxy.dataplane.sockets import Sockets
from tests.support.cluster import OK, read_head, read_response, run, running_cluster

PUT = b"PUT / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n"


def test_a_body_that_may_be_sent_again_is_counted_until_the_answer() -> None:
    async def test() -> None:
        proceed = asyncio.Event()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                await reader.readexactly(1_000)
                await proceed.wait()
                writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = late
            reader, writer = await w.connect()
            proceed.set()
            writer.write(PUT % 1_000 + b"a" * 1_000)
            await read_response(reader)
            proceed.clear()
            writer.write(PUT % 1_000 + b"b" * 1_000)
            while w.plane.buffers.held < 1_000:
                await asyncio.sleep(0.01)
            assert w.plane.buffers.held == 1_000 + PIECE
            proceed.set()
            await read_response(reader)
            assert w.plane.buffers.held == 0

    run(test())


def test_where_it_is_tight_no_body_is_kept_for_another_attempt() -> None:
    async def test() -> None:
        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_head(reader)
                await reader.readexactly(1_000)
                writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = late
            reader, writer = await w.connect()
            writer.write(PUT % 1_000 + b"a" * 1_000)
            await read_response(reader)
            w.plane.buffers.set_pressure(0.9)
            writer.write(PUT % 1_000)
            await asyncio.sleep(0.05)
            writer.write(b"b" * 999)
            await asyncio.sleep(0.05)
            assert w.plane.buffers.held == 0
            writer.write(b"b")
            assert (await read_response(reader))[1] == b"ok"

    run(test())


def test_what_waits_for_a_connection_is_bounded_by_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one byte: six bytes on the wire, one of payload, and an object for each if they are not joined."""

    async def test() -> None:
        async with running_cluster(stable_port=9, connect_timeout=5.0) as w:
            monkeypatch.setattr(Sockets, "connect", never)
            _, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                writer.write(b"1\r\nx\r\n" * 500)
                await asyncio.sleep(0.005)
            [connection] = w.connections
            assert 0 < connection.weight() < WATER + 4 * 65_536

    async def never(*_: object) -> None:
        await asyncio.sleep(3600)

    run(test())


def test_all_that_is_kept_is_counted_until_it_is_dropped() -> None:
    buffers = Buffers()
    replay = ReplayBuffer(buffers)
    assert not replay.hold(b"one")
    replay.keep(b"three")
    assert (replay.pieces, replay.size) == ([b"one", b"three"], 8)
    assert buffers.held == replay.weight == 8 + 2 * PIECE
    replay.drop()
    replay.drop()
    assert (buffers.held, replay.weight, replay.pieces, replay.complete) == (0, 0, [], False)
    replay.keep(b"more")
    assert (buffers.held, replay.pieces) == (0, [])


def test_so_much_may_wait_for_a_connection() -> None:
    replay = ReplayBuffer(Buffers())
    assert not replay.hold(b"x" * (WATER - PIECE - 1))
    assert replay.hold(b"x")


def test_a_body_that_grows_too_long_is_not_kept_to_be_sent_once_more() -> None:
    replay = ReplayBuffer(Buffers())
    replay.keep(b"x" * REPLAY_LIMIT)
    assert replay.complete
    replay.keep(b"x")
    assert (replay.complete, replay.pieces) == (False, [])


def test_many_small_pieces_cost_more_than_they_are_long() -> None:
    replay = ReplayBuffer(Buffers())
    count = 0
    while replay.complete:
        replay.keep(b"x")
        count += 1
    assert count * PIECE < 3 * REPLAY_LIMIT
