"""Copies: what the canary gets of them, and that no client notices. H73, H75."""

import asyncio
import dataclasses
from typing import Any

import pytest

from bench.ports import free_port
from canaryproxy.dataplane.mirror import MAX_IN_FLIGHT, MAX_QUEUED
from canaryproxy.dataplane.outlier_detection import FAILURES_TO_EJECT
from canaryproxy.model.report import Delta
from canaryproxy.model.table import Endpoint, Mirror
from tests.dataplane.test_attempts import refuse, with_endpoints
from tests.support.cluster import GET, OK, STAY, Cluster, read_head, read_response, run, running_cluster
from tests.support.stand import CANARY, STABLE, Stand, stand

EVERY = Mirror(10_000)


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


class Tally:
    """What was reported of copies, added up."""

    def __init__(self, w: Cluster) -> None:
        self._w = w
        self.sent = self.dropped = 0
        self.outcomes: dict[str, int] = {}

    def look(self) -> Delta:
        delta = self._w.collect()
        for mirror in delta.mirrors:
            self.sent += mirror.sent
            self.dropped += mirror.dropped
            for name, count in mirror.outcomes.items():
                self.outcomes[name] = self.outcomes.get(name, 0) + count
        return delta

    async def until(self, ended: int) -> None:
        async with asyncio.timeout(60):
            while sum(self.outcomes.values()) < ended:
                self.look()
                await asyncio.sleep(0.01)


def test_a_copy_is_the_request_with_a_mark_and_its_answer_is_dropped() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY, add_version=True) as w:
            tally = Tally(w)
            w.canary.behaviour = w.canary.answering(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nevil")
            ask = b"GET /a?b HTTP/1.1\r\nHost: shop.test\r\nX-Canary-Mirror: forged\r\nX-Canary-Rescue: forged\r\nCookie: a=b\r\nConnection: close\r\n\r\n"
            assert (await w.ask(ask)).endswith(b"ok")
            await tally.until(1)
            (copy,), (main,) = w.canary.heads, w.stable.heads
            assert copy.startswith(b"GET /a?b HTTP/1.1\r\nHost: shop.test\r\n")
            assert copy.endswith(b"\r\nX-Canary-Mirror: true\r\n\r\n")
            assert b"Cookie: a=b" in copy
            assert b"X-Canary-Version: canary" in copy
            assert b"forged" not in copy + main
            assert b"X-Canary-Mirror" not in main
            ids = [head.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0] for head in (copy, main)]
            assert ids[0] == ids[1]
            assert (tally.sent, tally.dropped, tally.outcomes) == (1, 0, {"error_5xx": 1})
            assert (w.versions, w.outcomes) == ({"stable": 1}, {"success": 1})

    run(test())


def test_exactly_the_share_is_copied_of_what_stable_answers() -> None:
    async def test() -> None:
        async with running_cluster(mirror=Mirror(2_500), weight=1_000) as w:
            tally = Tally(w)
            reader, writer = await w.connect()
            for _ in range(1_000):
                writer.write(STAY)
                await read_response(reader)
            await tally.until(225)
            assert 222 <= tally.sent + tally.dropped <= 228
            assert len(w.canary.heads) == 100 + tally.sent
            assert w.versions == {"stable": 900, "canary": 100}
            assert w.canary.connections <= 2 + MAX_IN_FLIGHT

    run(test())


@pytest.mark.parametrize(
    "changes",
    [{"mirror": Mirror(0)}, {"mirror": None}, {"mirror": EVERY, "aborted": True}],
    ids=["0", "none", "aborted"],
)
def test_no_percent_means_none_and_aborted_means_off(changes: dict[str, Any]) -> None:
    async def test() -> None:
        async with running_cluster(**changes) as w:
            for _ in range(20):
                await w.ask(GET)
            await asyncio.sleep(0.05)
            assert (w.collect().mirrors, w.canary.heads) == ((), [])

    run(test())


def test_only_the_methods_named_are_copied() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 204 No\r\n\r\n")
            w.canary.behaviour = w.canary.answering(b"HTTP/1.1 204 No\r\n\r\n")
            tally = Tally(w)
            for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"DELETE", b"BREW"):
                await w.ask(GET.replace(b"GET", method, 1))
            await w.ask(GET.replace(b"Connection: close", b"Connection: close, upgrade\r\nUpgrade: websocket"))
            await tally.until(2)
            assert [head.split()[0] for head in w.canary.heads] == [b"GET", b"HEAD"]

    run(test())


def test_a_body_is_copied_whole_or_not_at_all() -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: s\r\nConnection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n%b0\r\n\r\n"
    counted = b"POST / HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    async def answer_any(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.sleep(0.05)
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await reader.read()

    async def test() -> None:
        async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await read_head(reader)
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                w.canary.heads.append(head + await reader.readexactly(length))
                writer.write(OK)

        async with running_cluster(mirror=Mirror(10_000, ("POST",), 10)) as w:
            w.canary.behaviour, w.stable.behaviour = read, answer_any
            tally = Tally(w)
            assert (await w.ask(chunked % b"")).endswith(b"ok")
            await w.ask(counted % 0)
            await tally.until(2)
            assert w.canary.heads[0].endswith(b"X-Canary-Mirror: true\r\n\r\nbody")
            assert b"Content-Length: 4\r\n" in w.canary.heads[0]
            assert b"Expect" not in w.canary.heads[0]
            assert b"Content-Length: 0\r\n" in w.canary.heads[1]
            assert (await w.ask(chunked % b"8\r\n12345678\r\n")).endswith(b"ok")
            assert (await w.ask(counted % 11 + b"x" * 11)).endswith(b"ok")
            await tally.until(4)
            assert (tally.sent, tally.dropped, tally.outcomes) == (2, 2, {"success": 2, "overflow": 2})
            _, writer = await w.connect()
            writer.write(counted % 5 + b"ab")
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.1)
            tally.look()
            assert (tally.sent, tally.dropped) == (2, 2)
            assert w.plane.mirrors._queues["shop"]._bytes == 0

    run(test())


def test_a_canary_that_hangs_costs_a_bounded_number_of_copies_and_nothing_else_anything() -> None:
    count = MAX_IN_FLIGHT + MAX_QUEUED + 50

    async def test() -> None:
        async with running_cluster(mirror=EVERY, connect_timeout=0.1, response_timeout=0.4) as w:
            w.canary.behaviour = hang
            tally = Tally(w)
            reader, writer = await w.connect()
            for _ in range(count):
                writer.write(STAY)
                assert (await read_response(reader))[1] == b"ok"
            tally.look()
            assert (tally.sent, tally.dropped, tally.outcomes) == (MAX_IN_FLIGHT, 50, {"overflow": 50})
            await tally.until(count)
            assert tally.outcomes["overflow"] == 50
            assert tally.outcomes["timeout"] + tally.outcomes["unavailable"] == MAX_IN_FLIGHT + MAX_QUEUED
            assert MAX_IN_FLIGHT <= tally.outcomes["timeout"] <= MAX_IN_FLIGHT + FAILURES_TO_EJECT
            assert (tally.sent, tally.dropped) == (tally.outcomes["timeout"], 50 + tally.outcomes["unavailable"])
            w.collect()
            assert w.outcomes == {"success": count}

    run(test())


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "success"),
        (b"HTTP/1.1 204 No\r\n\r\n", "success"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "timeout"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "success"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + b"x" * 131_072, "success"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nabc", "success"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "success"),
        (b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n", "protocol"),
        (b"nonsense\r\n\r\n", "protocol"),
    ],
)
def test_every_answer_to_a_copy_comes_to_an_end(answer: bytes, outcome: str) -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY, connect_timeout=0.1, response_timeout=0.2) as w:
            w.canary.behaviour = w.canary.answering(answer)
            tally = Tally(w)
            assert (await w.ask(GET)).endswith(b"ok")
            await tally.until(1)
            assert tally.outcomes == {outcome: 1}

    run(test())


def test_a_canary_that_is_not_there_costs_copies_alone() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            tally = Tally(w)
            with_endpoints(w, "canary", free_port())
            assert (await w.ask(GET)).endswith(b"ok")
            await tally.until(1)
            with_endpoints(w, "canary")
            assert (await w.ask(GET)).endswith(b"ok")
            await tally.until(2)
            assert (tally.sent, tally.dropped, tally.outcomes) == (1, 1, {"connect": 1, "unavailable": 1})
            w.collect()
            assert w.outcomes == {"success": 2}
            assert w.ejections["canary"] == 0

    run(test())


def test_copies_have_connections_of_their_own_and_keep_them() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            tally = Tally(w)
            for number in range(1, 4):
                await w.ask(GET)
                await tally.until(number)
            assert w.canary.connections == 1
            route = dataclasses.replace(w.table.routes[0], weight=10_000)
            w.publish(dataclasses.replace(w.table, routes=(route,)), 2)
            await w.ask(GET)
            assert w.canary.connections == 2

    run(test())


def test_a_connection_that_was_closed_while_idle_costs_no_copy() -> None:
    async def test() -> None:
        served = 0

        async def once_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            served += 1
            await read_head(reader)
            writer.write(OK)
            if served == 1:
                await read_head(reader)
                await refuse(reader, writer)
            else:
                await reader.read()

        async with running_cluster(mirror=EVERY) as w:
            w.canary.behaviour = once_more
            tally = Tally(w)
            for number in (1, 2):
                await w.ask(GET)
                await tally.until(number)
            assert (tally.outcomes, served) == ({"success": 2}, 2)

    run(test())


def test_an_abort_drops_what_waits_and_what_is_under_way() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            w.canary.behaviour = hang
            tally = Tally(w)
            reader, writer = await w.connect()
            for _ in range(MAX_IN_FLIGHT + 10):
                writer.write(STAY)
                await read_response(reader)
            off = dataclasses.replace(w.table.routes[0], aborted=True)
            w.publish(dataclasses.replace(w.table, routes=(off,)), 2)
            tally.look()
            assert (tally.sent, tally.dropped, tally.outcomes) == (
                MAX_IN_FLIGHT,
                10,
                {"unavailable": MAX_IN_FLIGHT + 10},
            )
            gone = w.table.routes[0].versions[1]
            moved = dataclasses.replace(w.table.routes[0], canary=dataclasses.replace(gone, endpoints=()))
            w.publish(dataclasses.replace(w.table, routes=(moved,)), 3)
            tally.look()
            assert (tally.sent, tally.dropped) == (MAX_IN_FLIGHT, 10)

    run(test())


def test_a_canary_that_is_removed_gets_no_more_copies_though_another_route_has_its_endpoint() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            w.canary.behaviour = hang
            tally = Tally(w)
            reader, writer = await w.connect()
            for _ in range(MAX_IN_FLIGHT + 10):
                writer.write(STAY)
                await read_response(reader)
            route = w.table.routes[0]
            without = dataclasses.replace(route, canary=None, weight=0)
            moved = dataclasses.replace(route.stable, endpoints=route.versions[1].endpoints)
            other = dataclasses.replace(without, name="other", hosts=("other.test",), stable=moved, mirror=None)
            w.publish(dataclasses.replace(w.table, routes=(without, other)), 2)
            tally.look()
            assert (tally.sent, tally.dropped) == (MAX_IN_FLIGHT, 10)

    run(test())


def test_copies_that_wait_while_the_canary_becomes_another_one_go_to_none_that_it_was_before() -> None:
    async def test() -> None:
        async with running_cluster(mirror=EVERY) as w:
            w.canary.behaviour = hang
            tally = Tally(w)
            reader, writer = await w.connect()
            for _ in range(MAX_IN_FLIGHT + 10):
                writer.write(STAY)
                await read_response(reader)
            route = w.table.routes[0]
            other = dataclasses.replace(route.versions[1], endpoints=(Endpoint("127.0.0.1", free_port()),))
            w.publish(dataclasses.replace(w.table, routes=(dataclasses.replace(route, canary=other),)), 2)
            while w.canary.connections < MAX_IN_FLIGHT:
                await asyncio.sleep(0.01)
            for task in list(w.canary.tasks):
                task.cancel()
            async with asyncio.timeout(5):
                while tally.sent + tally.dropped < MAX_IN_FLIGHT + 10:
                    tally.look()
                    await asyncio.sleep(0.01)
            assert (tally.sent, tally.dropped, w.canary.connections) == (MAX_IN_FLIGHT, 10, MAX_IN_FLIGHT)

    run(test())


def test_bodies_that_grow_for_ever_take_no_more_than_their_room() -> None:
    async def test() -> None:
        async with running_cluster(mirror=Mirror(10_000, ("POST",), 2**20)) as w:
            w.stable.behaviour = hang
            tally = Tally(w)
            for _ in range(8):
                _, writer = await w.connect()
                writer.write(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 900_000)
            async with asyncio.timeout(60):
                while not tally.dropped:
                    await asyncio.sleep(0.02)
                    tally.look()
            split = w.plane.mirrors._queues["shop"]
            assert 0 < split._bytes <= 2**22
            for writer in w.clients:
                writer.close()
            async with asyncio.timeout(60):
                while split._bytes:
                    await asyncio.sleep(0.02)
            assert tally.sent == 0

    run(test())


def test_a_request_that_is_answered_before_its_end_with_an_error_has_no_copy() -> None:
    async def test() -> None:
        async with running_cluster(mirror=Mirror(10_000, ("POST",), 2**20)) as w:
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
            tally = Tally(w)
            reader, writer = await w.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\nhalf")
            assert (await read_response(reader))[1] == b"no"
            writer.write(b"of it.")
            await asyncio.sleep(0.1)
            tally.look()
            assert (tally.sent, tally.dropped) == (0, 0)
            assert w.plane.mirrors._queues["shop"]._bytes == 0

    run(test())


# Time, and what the log says.


def copied(s: Stand) -> Stand:
    """A request that stable has answered, and whose copy is being connected."""
    s.say(STAY)
    s.hear(s.open(STABLE), OK)
    return s


def ended(s: Stand) -> dict[str, int]:
    return {str(name): count for mirror in s.count().mirrors for name, count in mirror.outcomes.items()}


@pytest.mark.parametrize(
    ("clock", "opened", "error"),
    [("connect", False, "connection_timeout"), ("response", True, "http_response_timeout")],
)
def test_a_copy_has_the_times_of_its_version_one_after_the_other(
    clock: str, opened: bool, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """H73."""
    with stand({clock: 1.0}, mirror=EVERY, weight=0) as s:
        copied(s)
        if opened:
            s.open(CANARY)
        s.wait(0.9)
        assert ended(s) == {}
        s.wait(0.5)
        assert ended(s) == {"timeout": 1}
        assert s.outcomes == {("stable", "success"): 1}
        (record,) = caplog.records
        assert record.fields["error"] == error  # type: ignore[attr-defined]
        assert record.fields["mirror"]  # type: ignore[attr-defined]
        assert s.failures(CANARY) == 0


@pytest.mark.parametrize("clock", ["header", "body_idle", "half_close", "keep_alive", "tunnel_idle", "pool"])
@pytest.mark.parametrize("opened", [False, True])
def test_no_other_clock_ends_a_copy(clock: str, opened: bool) -> None:
    """H73."""
    with stand({clock: 1.0}, mirror=EVERY, weight=0) as s:
        copied(s)
        wire = s.open(CANARY) if opened else None
        s.wait(20)
        wire = wire or s.open(CANARY)
        s.hear(wire, OK)
        assert ended(s) == {"success": 1}


def test_a_copy_of_a_slow_upload_waits_for_its_end_and_has_all_its_time_then() -> None:
    """H73."""
    with stand({"connect": 1.0, "response": 1.0}, mirror=Mirror(10_000, methods=("PUT",)), weight=0) as s:
        s.say(b"PUT / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 3\r\n\r\n")
        stable = s.open(STABLE)
        for letter in (b"a", b"b", b"c"):
            s.wait(5)
            s.say(letter)
        assert s.open(CANARY).written.endswith(b"\r\n\r\nabc")
        s.wait(0.9)
        s.hear(stable, OK)
        assert ended(s) == {}
        s.wait(0.5)
        assert ended(s) == {"timeout": 1}


def test_a_copy_that_is_not_wanted_any_more_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """H73."""
    with stand({}, mirror=EVERY, weight=0) as s:
        copied(s)
        s.open(CANARY)
        s.publish(aborted=True)
        assert ended(s) == {"unavailable": 1}
        assert not caplog.records
