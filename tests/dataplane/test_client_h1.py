"""Client connections: limits, timeouts, ends. H numbers: docs/http.md."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from canaryproxy.dataplane.client_h1 import REQUESTS_PER_TURN
from canaryproxy.dataplane.evictable_connection import PIPELINE_LIMIT
from canaryproxy.model.settings import Limits, Timeouts
from tests.support.cluster import GET, OK, STAY, Cluster, read_head, read_response, reset, run, running_cluster
from tests.support.stand import stand

QUICK = Timeouts(header=0.1, keep_alive=0.1, body_idle=0.1)


def test_a_silent_new_connection_is_closed() -> None:
    """H47."""

    async def test() -> None:
        async with running_cluster(timeouts=QUICK) as w:
            reader, _ = await w.connect()
            assert await reader.read() == b""

    run(test())


def test_a_head_that_does_not_end_is_a_408() -> None:
    """H47."""

    async def test() -> None:
        async with running_cluster(timeouts=QUICK) as w:
            assert (await w.ask(b"GET / HTTP/1.1\r\nHost: shop")).startswith(b"HTTP/1.1 408 ")
            w.collect()
            assert w.refused == {408: 1}

    run(test())


def test_a_body_that_stops_coming_is_a_408() -> None:
    """H47."""

    async def test() -> None:
        async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with running_cluster(timeouts=QUICK) as w:
            w.stable.behaviour = take
            answer = await w.ask(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhe")
            assert answer.startswith(b"HTTP/1.1 408 ")
            w.collect()
            assert (w.outcomes, w.codes) == ({"client_abort": 1}, {408: 1})

    run(test())


def test_an_idle_connection_is_closed_after_keep_alive() -> None:
    """H47."""

    async def test() -> None:
        async with running_cluster(timeouts=QUICK) as w:
            reader, writer = await w.connect()
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"
            assert await reader.read() == b""

    run(test())


def test_a_client_that_takes_nothing_is_cut() -> None:
    """H47."""

    async def test() -> None:
        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
            while True:
                writer.write(b"z" * 100_000)
                await writer.drain()

        async with running_cluster(timeouts=Timeouts(body_idle=0.2)) as w:
            w.stable.behaviour = pour
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1000)
            w.clients.append(writer)
            writer.write(GET)
            await w.counted("client_abort")
            await w.stable.closed.wait()
            assert reader is not None

    run(test())


def test_the_reset_of_a_client_we_are_not_reading_from_is_noticed() -> None:
    """H45."""

    async def test() -> None:
        async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await asyncio.sleep(30)

        async with running_cluster() as w:
            w.stable.behaviour = deaf
            _, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 60000000\r\n\r\n" + b"z" * 40_000_000)
            await asyncio.sleep(0.4)
            reset(writer)
            await w.counted("client_abort")

    run(test())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 600 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417),
    ],
)
def test_refused_requests_get_their_status_and_the_end_of_the_connection(data: bytes, status: int) -> None:
    """H9 H10 H12 H13 H3 H36."""

    async def test() -> None:
        async with running_cluster(limits=Limits(header_bytes=500, headers=8, uri_bytes=100)) as w:
            answer = await w.ask(data)
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close\r\n" in answer
            assert w.stable.connections == 0
            w.collect()
            assert (w.starts, w.refused) == (0, {status: 1})

    run(test())


def test_a_host_without_route_is_a_404_that_keeps_the_connection() -> None:
    """H50."""

    async def test() -> None:
        async with running_cluster(hosts=("shop.test",)) as w:
            reader, writer = await w.connect()
            writer.write(b"GET / HTTP/1.1\r\nHost: else.test\r\nAccept: application/json\r\n\r\n")
            head, body = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 404 ")
            assert b'"error": "destination_not_found"' in body
            writer.write(STAY)
            assert (await read_response(reader))[1] == b"ok"

    run(test())


def test_a_404_to_a_request_with_a_body_ends_the_connection() -> None:
    async def test() -> None:
        async with running_cluster(hosts=("shop.test",)) as w:
            answer = await w.ask(b"POST / HTTP/1.1\r\nHost: else.test\r\nContent-Length: 5\r\n\r\nhello")
            assert b"Connection: close" in answer

    run(test())


def test_a_request_that_comes_back_to_us_is_a_508() -> None:
    """H21."""

    async def test() -> None:
        async with running_cluster() as w:
            assert (await w.ask(GET[:-2] + b"Via: 1.1 canaryproxy-test\r\n\r\n")).startswith(b"HTTP/1.1 508 ")
            w.collect()
            assert w.starts == 0

    run(test())


def test_options_that_may_go_no_further_is_answered_here() -> None:
    """H22."""

    async def test() -> None:
        async with running_cluster() as w:
            ask = b"OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nMax-Forwards: 0\r\n"
            answer = await w.ask(ask + b"\r\n" + ask + b"Connection: close\r\n\r\n")
            assert answer.count(b"HTTP/1.1 200 OK\r\nAllow: GET") == 2
            assert w.stable.connections == 0

    run(test())


def test_one_connection_too_many_is_a_503_with_retry_after() -> None:
    """H50."""

    async def test() -> None:
        async with running_cluster(limits=Limits(max_connections=1)) as w:
            answering, asked, go = w.stable.behaviour, asyncio.Event(), asyncio.Event()

            async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.set()
                await go.wait()
                await answering(reader, writer)

            w.stable.behaviour = slow
            reader, writer = await w.connect()
            writer.write(STAY)
            await asked.wait()
            second, _ = await w.connect()
            answer = await second.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1" in answer
            assert w.collect().turned_away == {"full": 1}
            go.set()
            assert (await read_response(reader))[1] == b"ok"

    run(test())


def test_nothing_behind_close_is_read_as_a_request() -> None:
    """H51."""

    async def test() -> None:
        async with running_cluster() as w:
            answer = await w.ask(GET + STAY)
            assert answer.count(b"HTTP/1.1 200") == 1
            assert len(w.stable.heads) == 1

    run(test())


def test_a_client_that_goes_on_sending_to_a_closed_connection_is_read_dry_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H51."""
    monkeypatch.setattr("canaryproxy.dataplane.client_h1.LINGER_BYTES", 100_000)

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(b"nonsense\r\n\r\n" + b"z" * 50_000)
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 400 ")
            assert await reader.read() == b""
            with pytest.raises(OSError, match=r"lost|reset|pipe|closed|handler"):
                await pour(writer)

    run(test())


def test_a_lingering_connection_is_closed_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """H51."""
    monkeypatch.setattr("canaryproxy.dataplane.client_h1.LINGER_SECONDS", 0.1)

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(b"nonsense\r\n\r\n")
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 400 ")
            await gone(w)

    run(test())


async def pour(writer: asyncio.StreamWriter) -> None:
    """Send much more than anybody wants."""
    for _ in range(1000):
        writer.write(b"z" * 50_000)
        await writer.drain()
        await asyncio.sleep(0)


async def gone(w: Cluster) -> None:
    """Wait until the plane has no connections."""
    while w.connections:
        await asyncio.sleep(0.02)


def test_a_half_closed_client_gets_all_its_pipelined_answers() -> None:
    """H42 H46."""

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(STAY * 3)
            writer.write_eof()
            assert (await reader.read()).count(b"\r\n\r\nok") == 3

    run(test())


def test_an_http_1_0_client_may_keep_its_connection() -> None:
    """H32."""

    async def test() -> None:
        async with running_cluster() as w:
            w.stable.behaviour = w.stable.answering(OK)
            reader, writer = await w.connect()
            for _ in range(2):
                writer.write(b"GET / HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n")
                head, body = await read_response(reader)
                assert body == b"ok"
                assert b"Connection: keep-alive" in head

    run(test())


PROBE = b"OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nMax-Forwards: 0\r\n"


class Counting:
    """A loop that counts what is put off to its next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.turns = 0

    def call_soon(self, work: Callable[[], None]) -> asyncio.Handle:
        self.turns += 1
        return self.loop.call_soon(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


@pytest.mark.parametrize("ends", ["close", "fin"])
def test_requests_that_we_answer_ourselves_leave_all_others_their_turn(ends: str) -> None:
    """H42. The attack: thousands of tiny requests in one read, each answered at once, held all others up for 60 ms."""

    async def test() -> None:
        async with running_cluster() as w:
            counting = Counting(w.plane.clock.loop)
            w.plane.clock.loop = cast("asyncio.AbstractEventLoop", counting)
            reader, writer = await w.connect()
            writer.write((PROBE + b"\r\n") * (10 * REQUESTS_PER_TURN))
            if ends == "fin":
                writer.write_eof()
            else:
                writer.write(PROBE + b"Connection: close\r\n\r\n")
            answers = await reader.read()
            assert answers.count(b"HTTP/1.1 ") == 10 * REQUESTS_PER_TURN + (ends == "close")
            assert w.stable.connections == 0
            assert counting.turns >= 9

    run(test())


def test_requests_behind_those_that_we_answer_ourselves_keep_their_order() -> None:
    """H42."""

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write(
                (PROBE + b"\r\n") * (3 * REQUESTS_PER_TURN) + STAY + (PROBE + b"\r\n") * REQUESTS_PER_TURN + GET
            )
            answers = await reader.read()
            kinds = [b"Allow: " in answer for answer in answers.split(b"HTTP/1.1 ")[1:]]
            assert kinds == [True] * 24 + [False] + [True] * 8 + [False]

    run(test())


def test_a_client_that_leaves_before_its_next_turn_is_not_served_any_more() -> None:
    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            writer.write((PROBE + b"\r\n") * 5_000)
            await reader.read(1)
            reset(writer)
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 200 ")

    run(test())


def test_a_client_far_ahead_of_its_turns_is_read_no_further() -> None:
    """H42: what it sends meanwhile waits in the kernel."""

    async def test() -> None:
        async with running_cluster() as w:
            reader, writer = await w.connect()
            count = 20_000
            writer.write((PROBE + b"\r\n") * count + PROBE + b"Connection: close\r\n\r\n")
            most, seen = 0, []
            while piece := await reader.read(65_536):
                seen.append(piece)
                most = max([most, *[down.reader.pending() for down in w.connections]])
            assert b"".join(seen).count(b"Allow: ") == count + 1
            assert most < PIPELINE_LIMIT + 262_144 + len(PROBE)

    run(test())


def test_an_error_of_ours_before_the_first_attempt_leaves_no_exchange_to_look_at() -> None:
    with stand() as one:
        pools = one.plane.pools.by_decision
        one.plane.pools.by_decision = None  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            one.say(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        one.plane.pools.by_decision = pools
        assert one.down.exchange is None
        one.wait(1.0)
        one.fin()
