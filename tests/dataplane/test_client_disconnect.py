"""Clients that leave, half close or break off in the middle of an exchange. H numbers: docs/http.md."""

import asyncio

import pytest

from canaryproxy.model.settings import Timeouts
from tests.support.cluster import GET, OK, STAY, read_head, read_response, reset, run, running_cluster


@pytest.mark.parametrize("streaming", [False, True])
def test_a_client_that_leaves_cancels_the_upstream_at_once(streaming: bool) -> None:
    """H45."""

    async def test() -> None:
        arrived = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            if streaming:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
            arrived.set()
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = wait
            reader, writer = await w.connect()
            writer.write(GET)
            await arrived.wait()
            if streaming:
                await reader.readuntil(b"hello")
            reset(writer)
            await w.stable.closed.wait()
            await w.counted("client_abort")
            assert w.codes == {200 if streaming else 499: 1}

    run(test())


def test_a_client_that_half_closes_still_gets_its_answer() -> None:
    """H46."""

    async def test() -> None:
        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await asyncio.sleep(0.1)
            writer.write(OK)
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = late
            reader, writer = await w.connect()
            writer.write(STAY)
            writer.write_eof()
            assert (await reader.read()).endswith(b"ok")

    run(test())


def test_a_half_closed_client_is_not_waited_for_longer_than_allowed() -> None:
    """H46."""

    async def test() -> None:
        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with running_cluster(timeouts=Timeouts(half_close=0.1)) as w:
            w.stable.behaviour = silent
            reader, writer = await w.connect()
            writer.write(STAY)
            writer.write_eof()
            assert await reader.read() == b""
            await w.counted("client_abort")

    run(test())


@pytest.mark.parametrize("part", [b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 50\r\n\r\nhel", b"GET / HT"])
def test_a_request_cut_by_the_clients_fin_is_never_completed(part: bytes) -> None:
    """H6."""

    async def test() -> None:
        async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await reader.readexactly(50)

        async with running_cluster() as w:
            w.stable.behaviour = take
            reader, writer = await w.connect()
            writer.write(part)
            await asyncio.sleep(0.05)
            writer.write_eof()
            assert await reader.read() == b""
            if part.startswith(b"POST"):
                await w.stable.closed.wait()
                await w.counted("client_abort")

    run(test())


def test_a_broken_body_is_the_clients_fault_and_cancels_the_upstream() -> None:
    """H6."""

    async def test() -> None:
        async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = take
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"zz\r\n")
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 400 ")
            w.collect()
            assert (w.outcomes, w.codes) == ({"client_abort": 1}, {400: 1})

    run(test())
