"""Origins that refuse, break off, talk nonsense or say nothing. H numbers: docs/http.md."""

import asyncio

import pytest

from tests.support.world import GET, OK, STAY, read_head, read_response, reset, run, world


@pytest.mark.parametrize(
    "response",
    [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\nX: y\n\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"],
)  # fmt: skip
def test_what_cannot_be_relayed_safely_becomes_a_502(response: bytes) -> None:
    """H16 H19 H33."""

    async def test() -> None:
        async with world() as w:
            w.stable.behaviour = w.stable.answering(response)
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert b"Proxy-Status: canaryproxy-test; error=http_protocol_error" in answer
            w.collect()
            assert (w.outcomes, w.codes) == ({"protocol": 1}, {502: 1})

    run(test())


CUTS = {
    "length": (b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
    "chunks": (b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    "bad chunk later": (b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
}


@pytest.mark.parametrize(("version", "response"), CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("with_reset", [False, True])
def test_a_response_that_breaks_off_is_seen_to_break_off(version: bytes, response: bytes, with_reset: bool) -> None:
    """H33."""

    async def test() -> None:
        async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            head, _, body = response.partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n" + body[:3])
            await asyncio.sleep(0.03)
            writer.write(body[3:])
            await asyncio.sleep(0.03)
            if with_reset:
                reset(writer)

        async with world() as w:
            w.stable.behaviour = break_off
            answer = await w.ask(b"GET / " + version + b"\r\nHost: shop.test\r\n\r\n")
            assert b"hello" in answer.replace(b"\r\n", b"")
            assert not answer.endswith(b"0\r\n\r\n")
            w.collect()
            assert w.codes == {200: 1}
            assert set(w.outcomes) <= {"reset", "protocol"}

    run(test())


def test_a_close_delimited_response_that_breaks_off_resets_the_client() -> None:
    """H33."""

    async def test() -> None:
        async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
            await asyncio.sleep(0.05)
            reset(writer)

        async with world() as w:
            w.stable.behaviour = break_off
            with pytest.raises(ConnectionResetError):
                await w.ask(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")

    run(test())


def test_an_endpoint_that_refuses_connections_is_a_502_and_counted_as_connect() -> None:
    """H50."""

    async def test() -> None:
        async with world(stable_port=1) as w:
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b"connection_refused" in answer
            w.collect()
            assert w.outcomes == {"connect": 1}

    run(test())


@pytest.mark.parametrize(
    ("line", "fields", "body", "repeated"),
    [
        (b"GET / HTTP/1.1", b"", b"", True),
        (b"PUT / HTTP/1.1", b"Content-Length: 5\r\n", b"hello", True),
        (b"PUT / HTTP/1.1", b"Content-Length: 100000\r\n", b"x" * 100_000, False),
        (b"POST / HTTP/1.1", b"Content-Length: 5\r\n", b"hello", False),
    ],
)
def test_a_connection_closed_while_idle_is_replaced_once_where_that_is_safe(
    line: bytes, fields: bytes, body: bytes, repeated: bool
) -> None:
    """H27 H43."""

    async def test() -> None:
        ids: list[bytes] = []

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Answer one request, then take the next one's head and close without a byte."""
            for number in range(2):
                head = await read_head(reader)
                ids.append(next(item for item in head.split(b"\r\n") if item.startswith(b"X-Request-Id")))
                if number == 1:
                    return
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0] or 0)
                await reader.readexactly(length)
                writer.write(OK)

        async with world() as w:
            w.stable.behaviour = once
            reader, writer = await w.connect()
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"
            writer.write(line + b"\r\nHost: shop.test\r\n" + fields + b"\r\n" + body)
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200 " if repeated else b"HTTP/1.1 502 ")
            assert w.stable.connections == (2 if repeated else 1)
            assert len(set(ids[1:])) == 1
            w.collect()
            assert w.retried == ({"reset": 1} if repeated else {})

    run(test())


def test_a_new_connection_that_is_closed_is_not_tried_again() -> None:
    """H43."""

    async def test() -> None:
        async def close(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_head(reader)

        async with world() as w:
            w.stable.behaviour = close
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            assert w.stable.connections == 1
            w.collect()
            assert w.outcomes == {"reset": 1}

    run(test())


def test_a_response_that_does_not_come_is_a_504() -> None:
    """H48."""

    async def test() -> None:
        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with world(response_timeout=0.2) as w:
            w.stable.behaviour = silent
            assert b"504 Gateway Timeout: http_response_timeout" in await w.ask(GET)
            await w.stable.closed.wait()
            w.collect()
            assert (w.outcomes, w.codes) == ({"timeout": 1}, {504: 1})

    run(test())


def test_silence_in_the_middle_of_a_response_cuts_it() -> None:
    """H48."""

    async def test() -> None:
        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
            await reader.read()

        async with world(response_timeout=0.2) as w:
            w.stable.behaviour = stall
            assert (await w.ask(GET)).endswith(b"hello")
            w.collect()
            assert (w.outcomes, w.codes) == ({"timeout": 1}, {200: 1})

    run(test())
