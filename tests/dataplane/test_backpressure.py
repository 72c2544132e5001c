"""Slow clients and slow origins: each stops the other, and what is small arrives at once. H numbers: docs/http.md."""

import asyncio

import pytest

from tests.support.cluster import GET, OK, read_head, read_response, run, running_cluster


def test_each_event_of_a_stream_arrives_at_once() -> None:
    """H35."""

    async def test() -> None:
        proceed = asyncio.Event()

        async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for number in range(3):
                writer.write(b"id: %d\n\n" % number)
                await proceed.wait()
                proceed.clear()

        async with running_cluster() as w:
            w.stable.behaviour = events
            reader, writer = await w.connect()
            writer.write(GET)
            for number in range(3):
                assert await reader.readuntil(b"id: %d\n\n" % number)
                proceed.set()
            assert (await reader.read()).endswith(b"0\r\n\r\n")

    run(test())


def test_a_slow_client_stops_the_origin_and_its_waiting_is_not_charged() -> None:
    """H34."""

    async def test() -> None:
        sent = 0
        size = 40_000_000

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // 50_000):
                writer.write(b"z" * 50_000)
                await writer.drain()
                sent += 50_000

        async with running_cluster() as w:
            w.stable.behaviour = pour
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1000)
            w.clients.append(writer)
            writer.write(GET)
            await asyncio.sleep(0.6)
            stopped_at = sent
            assert stopped_at < size
            got = len(await reader.read())
            assert got > size
            delta = w.collect()
            judged = [bucket for cell in delta.cells for bucket in cell.latency]
            lived = [bucket for cell in delta.cells for bucket in cell.duration]
            assert max(judged) < max(lived)

    run(test())


def test_a_slow_origin_stops_the_client() -> None:
    """H34."""

    async def test() -> None:
        go = asyncio.Event()
        size = 40_000_000

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await go.wait()
            left = size
            while left:
                left -= len(await reader.read(left))
            writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = slow
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n" % size)
            writer.write(b"z" * size)
            await asyncio.sleep(0.3)
            assert writer.transport.get_write_buffer_size() > 0
            go.set()
            assert (await read_response(reader))[1] == b"ok"

    run(test())


def test_an_origin_that_takes_nothing_of_an_upload_is_given_up() -> None:
    """H48."""

    async def test() -> None:
        async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(5)

        async with running_cluster(response_timeout=0.3) as w:
            w.stable.behaviour = deaf
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 60000000\r\n\r\n" + b"z" * 40_000_000)
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 504 ")

    run(test())


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_slower_than_every_clock_of_the_version_is_no_failure_of_it(chunked: bool) -> None:
    """H47 H48. Over real sockets; each clock in each state: test_pacing.py."""

    async def test() -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"f\r\n0\r\n\r\n" if chunked else b"abcdef")
            writer.write(OK)

        async with running_cluster(connect_timeout=0.4, response_timeout=0.4) as w:
            w.stable.behaviour = take
            reader, writer = await w.connect()
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 6"
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\n" + framing + b"\r\n\r\n")
            for letter in (b"a", b"b", b"c", b"d", b"e", b"f"):
                await asyncio.sleep(0.25)
                writer.write(b"1\r\n%b\r\n" % letter if chunked else letter)
            writer.write(b"0\r\n\r\n" if chunked else b"")
            assert (await read_response(reader))[1] == b"ok"
            w.collect()
            assert w.outcomes == {"success": 1}

    run(test())
