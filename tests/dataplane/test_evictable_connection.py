"""What a client's connection holds: counted as it comes, forgotten when it goes. Attacks are in test_shedding."""

import asyncio

from tests.support.cluster import STAY, read_response, run, running_cluster

HALF = b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Long: "


def test_part_of_a_head_is_counted_and_no_more_when_it_is_whole() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(HALF + b"y" * 9_000)
            while w.plane.buffers.held < 9_000:
                await asyncio.sleep(0.01)
            [connection] = w.connections
            assert connection.weight() == w.plane.buffers.held == len(HALF) + 9_000
            assert connection.progress() == (None, 0)
            writer.write(b"\r\n\r\n")
            assert (await read_response(reader))[1] == b"ok"
            assert w.plane.buffers.held == 0

    run(test())


def test_what_is_read_ahead_is_counted_and_what_was_consumed_before_it() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(STAY + HALF)
            assert (await read_response(reader))[1] == b"ok"
            assert w.plane.buffers.held == len(STAY + HALF)
            writer.transport.abort()
            while w.connections:
                await asyncio.sleep(0.01)
            assert w.plane.buffers.held == 0

    run(test())


def test_a_client_that_is_idle_holds_nothing() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            for _ in range(3):
                writer.write(STAY)
                await read_response(reader)
            [connection] = w.connections
            assert (connection.weight(), w.plane.buffers.held) == (0, 0)

    run(test())
