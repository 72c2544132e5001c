"""The life of a request over real sockets; what goes wrong: `test_breaking`, `test_leaving`. H numbers:
docs/http.md.
"""

import asyncio

import pytest

from canaryproxy.model.settings import Limits
from tests.support.cluster import GET, OK, read_head, read_response, run, running_cluster


def request(line: bytes, fields: bytes = b"", body: bytes = b"") -> bytes:
    return line + b"\r\nHost: shop.test\r\nConnection: close\r\n" + fields + b"\r\n" + body


def test_a_request_reaches_the_origin_and_its_answer_the_client() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nok")
            assert w.stable.heads[0].startswith(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 127.0.0.1\r\n")
            w.collect()
            assert (w.starts, w.outcomes, w.codes) == (1, {"success": 1}, {200: 1})

    run(test())


@pytest.mark.parametrize(("weight", "version"), [(0, "stable"), (10_000, "canary")])
def test_the_weight_decides_the_version_and_both_ends_learn_it_where_asked(weight: int, version: str) -> None:
    async def test() -> None:
        async with running_cluster(weight=weight, add_version=True) as w:
            data = b"X-Canary-Version: " + version.encode()
            assert data in await w.ask(GET)
            origin = w.stable if version == "stable" else w.canary
            assert data in origin.heads[0]
            w.collect()
            assert w.versions == {version: 1}

    run(test())


def test_pipelined_requests_are_answered_in_their_order() -> None:
    """H42."""

    async def test() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                target = (await read_head(reader)).split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

        async with running_cluster() as w:
            w.stable.behaviour = echo
            reader, writer = await w.connect()
            for number in range(20):
                writer.write(b"GET /%d HTTP/1.1\r\nHost: shop.test\r\n\r\n" % number)
            for number in range(20):
                assert (await read_response(reader))[1] == b"/%d" % number
            assert w.stable.connections == 1

    run(test())


def test_a_client_may_pipeline_more_than_we_read_ahead() -> None:
    """H42."""

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            for _ in range(60):
                writer.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Long: " + b"x" * 4000 + b"\r\n\r\n")
            for _ in range(60):
                assert (await read_response(reader))[1] == b"ok"

    run(test())


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_stream_both_ways_before_they_are_complete(chunked: bool) -> None:
    """H35."""

    async def test() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while data := await reader.read(100):
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))

        async with running_cluster() as w:
            w.stable.behaviour = echo
            reader, writer = await w.connect()
            framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 10\r\n"
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\n" + framing + b"\r\n")
            await read_head(reader)
            for piece in (b"hello", b"world"):
                writer.write(b"5\r\n%b\r\n" % piece if chunked else piece)
                assert piece in await reader.readuntil(piece)

    run(test())


def test_a_chunked_request_and_its_trailers_arrive_framed_by_us() -> None:
    """H5 H15 H38."""

    async def test() -> None:
        bodies: list[bytes] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            bodies.append(await reader.readuntil(b"X-Sum: 1\r\n\r\n"))
            writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = take
            body = b"1;ext=1\r\nh\r\n4\r\nello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"
            answer = await w.ask(request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked\r\n", body))
            assert answer.startswith(b"HTTP/1.1 200")
            assert bodies == [b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"]

    run(test())


RESPONSES = {
    "HEAD has no body": (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"", b"Content-Length: 5"),
    "204 has no body": (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", b"", b"HTTP/1.1 204"),
    "304 has no body": (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\nhello", b"", b"ETag: a"),
    "trailers": (
        b"GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"Transfer-Encoding: chunked",
    ),
    "interim": (
        b"GET",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        b"ok",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>",
    ),
}


@pytest.mark.parametrize(("method", "response", "body", "part"), RESPONSES.values(), ids=RESPONSES)
def test_responses_are_relayed_with_the_body_they_may_have(
    method: bytes, response: bytes, body: bytes, part: bytes
) -> None:
    """H29 H30 H37 H38."""

    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = w.stable.answering(response)
            answer = await w.ask(request(method + b" / HTTP/1.1"))
            assert answer.endswith(b"\r\n\r\n" + body) if not body.startswith(b"2") else answer.endswith(body)
            assert part in answer

    run(test())


def test_a_response_until_close_is_chunked_for_1_1_and_ends_the_connection_for_1_0() -> None:
    """H32."""

    async def test() -> None:
        async def until_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")

        async with running_cluster() as w:
            w.stable.behaviour = until_close
            assert (await w.ask(GET)).endswith(b"5\r\nhello\r\n0\r\n\r\n")
            answer = await w.ask(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
            assert answer.endswith(b"\r\n\r\nhello")
            assert b"chunked" not in answer

    run(test())


def test_100_continue_is_relayed_and_no_interim_goes_to_1_0() -> None:
    """H36 H37."""

    async def test() -> None:
        async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"Expect: 100-continue" in await read_head(reader)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await reader.readexactly(5) == b"hello"
            writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = polite
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 100 ")
            writer.write(b"hello")
            assert (await read_response(reader))[1] == b"ok"
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
            assert b"103" not in await w.ask(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")

    run(test())


def test_an_early_final_response_arrives_although_the_client_still_sends() -> None:
    """H39 H51."""

    async def test() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
            await reader.read()

        async with running_cluster() as w:
            w.stable.behaviour = refuse
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
            head, body = await read_response(reader)
            assert body == b"big"
            assert b"Connection: close" in head
            writer.write(b"x" * 200_000)
            assert await reader.read() == b""
            await w.stable.closed.wait()

    run(test())


def test_a_body_that_comes_while_connecting_is_kept_and_sent() -> None:
    async def test() -> None:
        seen: list[bytes] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            body = b""
            while len(body) < 300_000:
                body += await reader.read(300_000)
            seen.append(body)
            writer.write(OK)

        async with running_cluster() as w:
            w.stable.behaviour = take
            answer = await w.ask(request(b"PUT / HTTP/1.1", b"Content-Length: 300000\r\n", b"y" * 300_000))
            assert answer.endswith(b"ok")
            assert seen == [b"y" * 300_000]

    run(test())


def test_a_body_beyond_the_limit_is_refused_before_it_is_read() -> None:
    """H13."""

    async def test() -> None:
        async with running_cluster(limits=Limits(body_bytes=10)) as w:
            answer = await w.ask(request(b"POST / HTTP/1.1", b"Content-Length: 11\r\n"))
            assert answer.startswith(b"HTTP/1.1 413 ")
            w.collect()
            assert (w.starts, w.refused) == (0, {413: 1})

    run(test())
