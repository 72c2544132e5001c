"""The life of a request over real sockets. H numbers: docs/http.md."""

import asyncio

import pytest

from canaryproxy.model.settings import Limits, Timeouts
from tests.support.world import GET, OK, STAY, read_head, read_response, reset, run, world


def request(line: bytes, fields: bytes = b"", body: bytes = b"") -> bytes:
    return line + b"\r\nHost: shop.test\r\nConnection: close\r\n" + fields + b"\r\n" + body


def test_a_request_reaches_the_origin_and_its_answer_the_client() -> None:
    async def test() -> None:
        async with world() as w:
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\nok")
            assert w.stable.heads[0].startswith(b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 127.0.0.1\r\n")
            w.collect()
            assert (w.starts, w.outcomes, w.codes) == (1, {"success": 1}, {200: 1})

    run(test())


@pytest.mark.parametrize(("weight", "version"), [(0, "stable"), (10_000, "canary")])
def test_the_weight_decides_the_version_and_both_ends_are_told_where_asked(weight: int, version: str) -> None:
    async def test() -> None:
        async with world(weight=weight, add_version=True) as w:
            told = b"X-Canary-Version: " + version.encode()
            assert told in await w.ask(GET)
            origin = w.stable if version == "stable" else w.canary
            assert told in origin.heads[0]
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

        async with world() as w:
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
        async with world() as w:
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

        async with world() as w:
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

        async with world() as w:
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
        b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", b"Transfer-Encoding: chunked",
    ),
    "interim": (
        b"GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok", b"HTTP/1.1 103 Early Hints\r\nLink: </a>",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "response", "body", "part"), RESPONSES.values(), ids=RESPONSES)
def test_responses_are_relayed_with_the_body_they_may_have(
    method: bytes, response: bytes, body: bytes, part: bytes
) -> None:
    """H29 H30 H37 H38."""

    async def test() -> None:
        async with world() as w:
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

        async with world() as w:
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

        async with world() as w:
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

        async with world() as w:
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

        async with world() as w:
            w.stable.behaviour = take
            answer = await w.ask(request(b"PUT / HTTP/1.1", b"Content-Length: 300000\r\n", b"y" * 300_000))
            assert answer.endswith(b"ok")
            assert seen == [b"y" * 300_000]

    run(test())


KEEP = STAY


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
            writer.write(KEEP)
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

        async with world() as w:
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

        async with world() as w:
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

        async with world() as w:
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

        async with world(response_timeout=0.3) as w:
            w.stable.behaviour = deaf
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 60000000\r\n\r\n" + b"z" * 40_000_000)
            head, _ = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 504 ")

    run(test())


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

        async with world() as w:
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

        async with world() as w:
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

        async with world(timeouts=Timeouts(half_close=0.1)) as w:
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

        async with world() as w:
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

        async with world() as w:
            w.stable.behaviour = take
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"zz\r\n")
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 400 ")
            w.collect()
            assert (w.outcomes, w.codes) == ({"client_abort": 1}, {400: 1})

    run(test())


def test_a_body_beyond_the_limit_is_refused_before_it_is_read() -> None:
    """H13."""

    async def test() -> None:
        async with world(limits=Limits(body_bytes=10)) as w:
            answer = await w.ask(request(b"POST / HTTP/1.1", b"Content-Length: 11\r\n"))
            assert answer.startswith(b"HTTP/1.1 413 ")
            w.collect()
            assert (w.starts, w.refused) == (0, {413: 1})

    run(test())
