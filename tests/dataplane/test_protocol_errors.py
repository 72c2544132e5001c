"""Origins that refuse, break off, talk nonsense or say nothing. H numbers: docs/http.md."""

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Callable

import pytest

from canaryproxy.model.table import Shield
from canaryproxy.telemetry.record.error_log import MAX_LINES, PERIOD_SECONDS
from tests.support.cluster import GET, OK, STAY, read_head, read_response, reset, run, running_cluster
from tests.support.stand import Stand, stand


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
    ],
)
def test_what_cannot_be_relayed_safely_becomes_a_502(response: bytes) -> None:
    """H16 H19 H33."""

    async def test() -> None:
        async with running_cluster() as w:
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

        async with running_cluster() as w:
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

        async with running_cluster() as w:
            w.stable.behaviour = break_off
            with pytest.raises(ConnectionResetError):
                await w.ask(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")

    run(test())


def test_an_endpoint_that_refuses_connections_is_a_502_and_counted_as_connect() -> None:
    """H50."""

    async def test() -> None:
        async with running_cluster(stable_port=1) as w:
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

        async with running_cluster() as w:
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

        async with running_cluster() as w:
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

        async with running_cluster(response_timeout=0.2) as w:
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

        async with running_cluster(response_timeout=0.2) as w:
            w.stable.behaviour = stall
            assert (await w.ask(GET)).endswith(b"hello")
            w.collect()
            assert (w.outcomes, w.codes) == ({"timeout": 1}, {200: 1})

    run(test())


# What the log says of it.

AWAITED = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
SLOW = {"connect": 1.0, "response": 1.0}


def silent(s: Stand) -> None:
    s.say(AWAITED)
    s.open()
    s.wait(2)


def silent_within(s: Stand) -> None:
    s.say(AWAITED)
    s.hear(s.open(), CUTS["length"][1])
    s.wait(2)


def deaf(s: Stand) -> None:
    s.say(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 9000\r\n\r\n")
    s.open().stick()
    s.wait(2)


def not_opening(s: Stand) -> None:
    s.say(AWAITED)
    s.wait(2)


def answers(response: bytes) -> Callable[[Stand], None]:
    def do(s: Stand) -> None:
        s.say(AWAITED)
        s.hear(s.open(), response)

    return do


def ends(response: bytes, error: Exception | None) -> Callable[[Stand], None]:
    def do(s: Stand) -> None:
        s.say(AWAITED)
        wire = s.open()
        if response:
            s.hear(wire, response)
        if error is None:
            wire.protocol.eof_received()
        else:
            wire.protocol.connection_lost(error)
        s.loop.turn()

    return do


def refused(error: Exception) -> Callable[[Stand], None]:
    def do(s: Stand) -> None:
        s.say(AWAITED)
        s.refuse(error)

    return do


def shield_over(s: Stand) -> None:
    s.publish(shield=Shield(0.5, 10_000))
    s.say(AWAITED)
    s.open()
    s.wait(0.8)


def break_tunnel(s: Stand) -> None:
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    s.say(AWAITED[:-2] + upgrade)
    wire = s.open()
    s.hear(wire, b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    wire.protocol.connection_lost(RESET)
    s.loop.turn()


HEAD = b"HTTP/1.1 200 OK\r\n"
RESET = ConnectionResetError(104, "Connection reset by peer")
UNKNOWN = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNKNOWN.verify_message = "self-signed certificate"
PLAIN = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)")
PLAIN.reason = "WRONG_VERSION_NUMBER"

TROUBLES: dict[str, tuple[Callable[[Stand], None], str, str]] = {
    "refused": (refused(ConnectionRefusedError(111, "Connection refused")), "connection_refused", "Connection refused"),
    "refused in asyncio's words": (
        refused(ConnectionRefusedError(111, "Connect call failed ('192.0.2.1', 2)")),
        "connection_refused",
        "Connection refused",
    ),
    "no way there": (refused(OSError(113, "No route to host")), "connection_refused", "No route to host"),
    "a strange certificate": (refused(UNKNOWN), "tls_certificate_error", "self-signed certificate"),
    "not TLS at all": (refused(PLAIN), "tls_certificate_error", "WRONG_VERSION_NUMBER"),
    "TLS without a reason": (refused(ssl.SSLError(1, "it failed")), "tls_certificate_error", "it failed"),
    "a name that is gone": (
        refused(socket.gaierror(-2, "Name or service not known")),
        "connection_refused",
        "Name or service not known",
    ),
    "not opening": (not_opening, "connection_timeout", "no connection within 1 s"),
    "silent": (silent, "http_response_timeout", "no byte was received for 1 s"),
    "silent within": (silent_within, "http_response_timeout", "no byte was received for 1 s"),
    "deaf": (deaf, "http_response_timeout", "no byte of the request was read for 1 s"),
    "too late for the shield": (shield_over, "http_response_timeout", "no response within the shield's timeout"),
    "closed": (ends(b"", None), "connection_terminated", "the connection was closed before a response"),
    "reset": (
        ends(b"", RESET),
        "connection_terminated",
        "the connection broke (Connection reset by peer) before a response",
    ),
    "half a head": (ends(HEAD, None), "http_response_incomplete", "the connection was closed within the response"),
    "half a body": (
        ends(CUTS["length"][1], RESET),
        "http_response_incomplete",
        "the connection broke (Connection reset by peer) within the response",
    ),
    "two lengths": (
        answers(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        "http_protocol_error",
        "the response's Content-Length is repeated",
    ),
    "garbage": (answers(b"\x1b[31mgarbage\r\n\r\n"), "http_protocol_error", "the status line is malformed"),
    "a bad field": (answers(HEAD + b"a: b\r\n\x00c: d\r\n\r\n"), "http_protocol_error", "field line 2 is malformed"),
    "a bad chunk": (
        answers(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
        "http_protocol_error",
        "a chunk's size or extension is malformed",
    ),
    "a strange coding": (
        answers(HEAD + b"Transfer-Encoding: br\r\n\r\n"),
        "http_protocol_error",
        "the response's Transfer-Encoding is ambiguous or unknown",
    ),
    "a long head": (
        answers(HEAD + b"a: b\r\n" * 300 + b"\r\n"),
        "http_response_header_section_size",
        "too many fields",
    ),
    "a switch": (
        answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "http_protocol_error",
        "101 without a request to switch protocols",
    ),
    "more than the length": (
        answers(HEAD + b"Content-Length: 2\r\n\r\nokay"),
        "http_protocol_error",
        "more bytes were received than the response has",
    ),
    "a body where none may be": (
        answers(b"HTTP/1.1 204 No Content\r\n\r\nbody"),
        "http_protocol_error",
        "more bytes were received than the response has",
    ),
    "a tunnel": (break_tunnel, "connection_terminated", "the tunnel broke (Connection reset by peer)"),
    "hints without end": (
        answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 65),
        "http_protocol_error",
        "too many interim responses",
    ),
}


@pytest.mark.parametrize(("trouble", "error", "reason"), TROUBLES.values(), ids=TROUBLES)
def test_each_trouble_with_an_endpoint_is_one_line_that_says_what_it_was(
    trouble: Callable[[Stand], None], error: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H71."""
    with stand(SLOW) as s:
        trouble(s)
        (record,) = caplog.records
        found = record.fields  # type: ignore[attr-defined]
        assert (found["error"], found["reason"]) == (error, reason)
        assert (found["route"], found["version"], found["endpoint"]) == ("shop", "canary", "192.0.2.1:2")
        assert found["request_id"] == "8000000000000000-0001"
        assert record.getMessage() == (
            f"shop: canary at 192.0.2.1:2: {error}: {reason} (request 8000000000000000-0001)"
        )
        assert not found["mirror"]


def test_the_line_names_the_request_as_the_client_and_the_access_log_do(caplog: pytest.LogCaptureFixture) -> None:
    """H27 H71."""
    with stand() as s:
        s.say(AWAITED[:-2] + b"X-Request-Id: abc-1\r\n\r\n")
        s.refuse()
        assert caplog.records[0].fields["request_id"] == "abc-1"  # type: ignore[attr-defined]
        assert s.lines[0].request_id == b"abc-1"


def test_each_attempt_that_fails_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    with stand(fallback=frozenset(("canary",))) as s:
        s.say(AWAITED)
        s.refuse()
        s.refuse()
        assert [record.fields["version"] for record in caplog.records] == ["canary", "stable"]  # type: ignore[attr-defined]


def test_a_version_without_an_endpoint_is_said_to_have_none(caplog: pytest.LogCaptureFixture) -> None:
    with stand() as s:
        s.publish(canary=dataclasses.replace(s.route.versions[1], endpoints=()))
        s.say(AWAITED)
        assert "canary at no endpoint: destination_unavailable" in caplog.records[0].getMessage()


def lose_the_race(s: Stand) -> None:
    s.say(AWAITED)
    wire = s.open()
    s.hear(wire, OK)
    s.say(AWAITED)
    wire.protocol.eof_received()
    s.loop.turn()
    s.hear(s.open(), OK)


def answer_500(s: Stand) -> None:
    s.say(AWAITED)
    s.hear(s.open(), b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")


def leave(s: Stand) -> None:
    s.say(AWAITED)
    s.open()
    s.client.abort()
    s.loop.turn()


def talk_nonsense(s: Stand) -> None:
    s.say(b"POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")


def abort(s: Stand) -> None:
    s.say(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\nx")
    s.open()
    s.publish(aborted=True)
    s.wait(2)


@pytest.mark.parametrize("harmless", [lose_the_race, answer_500, leave, talk_nonsense, abort])
def test_what_is_no_trouble_with_an_endpoint_has_no_line(
    harmless: Callable[[Stand], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The keep-alive race, the version's own answers, clients, our own decisions."""
    with stand({"abort_drain": 1.0}) as s:
        harmless(s)
        assert not caplog.records


def test_an_outage_is_a_few_lines_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    with stand() as s:
        for _ in range(50):
            s.say(AWAITED)
            s.refuse()
        assert len(caplog.records) == MAX_LINES
        s.wait(PERIOD_SECONDS + 1)
        assert caplog.records[-1].fields["suppressed"] == 50 - MAX_LINES  # type: ignore[attr-defined]
