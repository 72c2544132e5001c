"""The shield at work, and what we take back: who answers, who is charged, what is never sent twice. H66 H72."""

import asyncio
import dataclasses
from typing import Any

import pytest

from bench.ports import free_port
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Shield
from canaryproxy.telemetry.record.access_log import AccessLogEntry
from tests.dataplane.test_attempts import read_and_refuse, refuse, with_endpoints
from tests.support.cluster import GET, OK, STAY, Cluster, read_head, read_response, run, running_cluster
from tests.support.stand import CANARY, STABLE, Stand, stand

ALL = Shield(2.0, 10_000)
ERROR = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\noops"
POST = b"POST / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/9.9 nonsense\r\n\r\n")


async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    writer.close()


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def take(w: Cluster, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A stable that remembers head and body."""
    head = await read_head(reader)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    w.stable.heads.append(head + await reader.readexactly(length))
    writer.write(OK)


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [(refuse, "reset"), (read_and_refuse, "reset"), (garbage, "protocol"), (half_a_head, "reset")],
)
@pytest.mark.parametrize("fallback", [frozenset(("canary",)), frozenset()], ids=["fallback", "alone"])
def test_a_canary_that_breaks_is_answered_by_stable_and_charged(behaviour: Any, outcome: str, fallback: Any) -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL, fallback=fallback) as w:
            w.canary.behaviour = behaviour
            assert (await w.ask(GET)).endswith(b"ok")
            delta = w.collect()
            assert w.outcomes_of == {("canary", outcome): 1}
            assert (w.codes, w.rescues, w.versions) == ({200: 1}, {"shield": 1}, {"canary": 1})
            assert not delta.cells[0].latency
            assert len(w.stable.heads) == 1

    run(test())


def test_a_5xx_never_reaches_the_client_and_its_connection_is_used_again() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL, add_version=True) as w:
            w.canary.behaviour = w.canary.answering(ERROR)
            reader, writer = await w.connect()
            for _ in range(3):
                writer.write(STAY)
                head, body = await read_response(reader)
                assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"ok")
                assert b"X-Canary-Version: stable\r\nX-Canary-Rescue: shield\r\n" in head
            w.collect()
            assert w.outcomes_of == {("canary", "error_5xx"): 3}
            assert (w.codes, w.rescues) == ({200: 3}, {"shield": 3})
            assert (w.canary.connections, len(w.canary.heads)) == (1, 3)
            assert b"X-Canary-Version: stable" in w.stable.heads[0]
            ids = [
                heads[0].partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0]
                for heads in (w.canary.heads, w.stable.heads)
            ]
            assert ids[0] == ids[1]

    run(test())


@pytest.mark.parametrize(
    "error",
    [
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\nabc",
        b"HTTP/1.0 500 No\r\n\r\nabc",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_error_is_known_by_its_head_however_its_body_goes_on(error: bytes) -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL) as w:
            w.canary.behaviour = w.canary.answering(error)
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert (w.outcomes, w.rescues) == ({"error_5xx": 1}, {"shield": 1})

    run(test())


def test_what_changes_things_is_never_sent_twice() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL) as w:
            for method in (b"POST", b"PUT", b"DELETE", b"PATCH"):

                async def error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                    await read_head(reader)
                    await reader.readexactly(4)
                    writer.write(ERROR)

                w.canary.behaviour = error
                answer = await w.ask(POST.replace(b"POST", method, 1))
                assert answer.startswith(b"HTTP/1.1 503 Busy")
            assert (await w.ask(b"HEAD" + GET[3:])).startswith(b"HTTP/1.1 503 Busy") is False
            w.collect()
            assert (w.rescues, len(w.stable.heads)) == ({"shield": 1}, 1)

    run(test())


def test_a_post_of_which_nothing_was_sent_is_answered_by_stable() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL, fallback=frozenset()) as w:
            w.stable.behaviour = lambda reader, writer: take(w, reader, writer)
            with_endpoints(w, "canary", free_port())
            assert (await w.ask(POST)).endswith(b"ok")
            assert w.stable.heads[0].endswith(b"body")
            w.collect()
            assert (w.outcomes, w.rescues) == ({"connect": 1}, {"shield": 1})

    run(test())


def test_a_canary_without_any_endpoint_is_the_business_of_the_fallback() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL, fallback=frozenset()) as w:
            with_endpoints(w, "canary")
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 ")
        async with running_cluster(weight=10_000, shield=ALL) as w:
            with_endpoints(w, "canary", free_port())
            assert (await w.ask(GET)).endswith(b"ok")
            w.collect()
            assert (w.outcomes, w.rescues) == ({"unavailable": 1}, {"fallback": 1})

    run(test())


def test_a_body_is_sent_again_from_a_bounded_buffer_alone() -> None:
    def get(body: bytes) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def test() -> None:
        async def error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await read_head(reader)
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            writer.write(ERROR)

        async with running_cluster(weight=10_000, shield=ALL) as w:
            w.canary.behaviour = error
            w.stable.behaviour = lambda reader, writer: take(w, reader, writer)
            assert (await w.ask(get(b"x" * 60_000))).endswith(b"ok")
            assert len(w.stable.heads[0].partition(b"\r\n\r\n")[2]) == 60_000
            assert (await w.ask(get(b"x" * 70_000))).startswith(b"HTTP/1.1 503 ")
            assert len(w.stable.heads) == 1

    run(test())


def test_a_client_that_got_a_hint_gets_the_failure_too() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL) as w:
            w.canary.behaviour = w.canary.answering(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + ERROR)
            answer = await w.ask(GET)
            assert answer.startswith(b"HTTP/1.1 103 Early")
            assert b"HTTP/1.1 503 Busy" in answer
            w.collect()
            assert not w.rescues

    run(test())


def test_a_response_that_breaks_after_its_first_byte_left_is_cut() -> None:
    async def test() -> None:
        async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            await asyncio.sleep(0.05)
            writer.close()

        async with running_cluster(weight=10_000, shield=ALL) as w:
            w.canary.behaviour = begin
            assert (await w.ask(GET)).endswith(b"\r\n\r\nabc")
            w.collect()
            assert (w.outcomes, w.rescues, len(w.stable.heads)) == ({"reset": 1}, {}, 0)

    run(test())


def test_a_hanging_canary_adds_no_more_than_the_shields_time() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with running_cluster(weight=10_000, shield=Shield(0.3, 10_000)) as w:
            w.canary.behaviour = hang
            began = loop.time()
            answers = await asyncio.gather(*(w.ask(GET) for _ in range(5)))
            assert 0.28 < loop.time() - began < 0.45
            assert all(answer.endswith(b"ok") for answer in answers)
            w.collect()
            assert (w.outcomes, w.rescues) == ({"timeout": 5}, {"shield": 5})

    run(test())


def test_a_hanging_canary_beyond_the_budget_has_the_time_of_any_version() -> None:
    async def test() -> None:
        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await asyncio.sleep(0.3)
            writer.write(OK.replace(b"ok", b"la"))

        async with running_cluster(weight=10_000, shield=Shield(0.1, 5_000)) as w:
            w.canary.behaviour = late
            answers = await asyncio.gather(*(w.ask(GET) for _ in range(4)))
            assert sorted(answer[-2:] for answer in answers) == [b"la", b"la", b"ok", b"ok"]
            w.collect()
            assert (w.outcomes, w.rescues) == ({"timeout": 2, "success": 2}, {"shield": 2})

    run(test())


def test_exactly_what_lies_beyond_the_default_budget_fails() -> None:
    async def test() -> None:
        async with running_cluster(weight=1_000, shield=Shield()) as w:
            w.canary.behaviour = w.canary.answering(ERROR)
            reader, writer = await w.connect()
            failed = 0
            for _ in range(1_000):
                writer.write(STAY)
                head, _ = await read_response(reader)
                failed += head.startswith(b"HTTP/1.1 503")
            w.collect()
            assert (w.versions["canary"], failed) == (100, 80)
            assert w.outcomes_of == {("canary", "error_5xx"): 100, ("stable", "success"): 900}
            assert w.rescues == {"shield": 20}

    run(test())


def test_only_canary_requests_have_a_shield_and_an_aborted_canary_none_to_come() -> None:
    async def test() -> None:
        async with running_cluster(weight=0, shield=ALL) as w:
            w.stable.behaviour = w.stable.answering(ERROR)
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 Busy")
            w.collect()
            assert (w.outcomes_of, w.rescues) == ({("stable", "error_5xx"): 1}, {})

    run(test())


def test_when_stable_fails_too_the_client_gets_stables_failure() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL) as w:
            w.canary.behaviour = w.canary.answering(ERROR)
            w.stable.behaviour = w.stable.answering(b"HTTP/1.1 500 Mine\r\nContent-Length: 0\r\n\r\n")
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 500 Mine")
            with_endpoints(w, "stable", free_port())
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 502 ")
            w.collect()
            assert w.outcomes_of == {("canary", "error_5xx"): 2}
            with_endpoints(w, "stable")
            assert (await w.ask(GET)).startswith(b"HTTP/1.1 503 Busy")

    run(test())


def test_the_log_says_that_stable_answered_and_why() -> None:
    lines: list[AccessLogEntry] = []

    async def test() -> None:
        async with running_cluster(weight=10_000, shield=ALL, access_log=lines.append) as w:
            w.canary.behaviour = w.canary.answering(ERROR)
            await w.ask(GET)

    run(test())
    (line,) = lines
    assert (line.version, line.status, line.outcome, line.flags) == ("canary", 200, "error_5xx", ("retry", "shield"))
    assert line.upstream is None


def test_a_shield_that_is_taken_away_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with running_cluster(weight=10_000, shield=Shield(0.1, 10_000)) as w:
            w.canary.behaviour = w.canary.answering(ERROR)
            await w.ask(GET)
            route = dataclasses.replace(w.table.routes[0], shield=None)
            w.publish(dataclasses.replace(w.table, routes=(route,)), 2)
            w.publish(dataclasses.replace(w.table, routes=()), 3)
            assert (w.plane.shields.patiences, w.plane.shields.budgets) == ({}, {})

    run(test())


# What we take back ourselves.


AWAITED = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


def aborted(s: Stand) -> None:
    """The canary is aborted, and what is still open to it has had its time."""
    s.publish(aborted=True)
    s.wait(1.5)


@pytest.mark.parametrize("fallback", [frozenset(("canary",)), frozenset()], ids=["fallback", "alone"])
@pytest.mark.parametrize("shield", [None, ALL], ids=["bare", "shield"])
def test_what_waits_for_an_aborted_canary_is_answered_by_stable_and_charged_to_no_version(
    fallback: Any, shield: Shield | None
) -> None:
    """H66."""
    with stand({"abort_drain": 1.0}, fallback=fallback, add_version=True) as s:
        if shield is not None:
            s.publish(shield=dataclasses.replace(shield, timeout=900.0))
        s.say(AWAITED)
        canary = s.open()
        aborted(s)
        assert canary.closing
        stable = s.open(STABLE)
        ids = [wire.written.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0] for wire in (canary, stable)]
        assert ids[0] == ids[1]
        s.hear(stable, OK)
        assert s.client.written.endswith(b"ok")
        assert b"X-Canary-Version: stable\r\nX-Canary-Rescue: withdrawn\r\n" in s.client.written
        delta = s.count()
        assert (s.outcomes, s.codes, s.rescues) == ({("canary", "overflow"): 1}, {200: 1}, {"withdrawn": 1})
        assert not any(cell.latency for cell in delta.cells)
        assert (s.failures(), s.failures(STABLE)) == (0, 0)
        (line,) = s.lines
        assert (line.version, line.status, line.outcome, line.flags) == (
            "canary",
            200,
            "overflow",
            ("retry", "withdrawn"),
        )
        s.say(AWAITED)
        s.hear(stable, OK)
        assert s.client.written.count(b"200 OK") == 2


BODY = b" / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n%b"
LONG = b"x" * 70_000


@pytest.mark.parametrize(
    ("method", "body", "sent", "moved"),
    [
        (b"GET", b"", True, True),
        (b"HEAD", b"", True, True),
        (b"OPTIONS", b"", True, True),
        (b"PUT", b"body", True, True),
        (b"DELETE", b"", True, True),
        (b"PUT", LONG, True, False),
        (b"POST", b"body", True, False),
        (b"PATCH", b"body", True, False),
        (b"POST", b"body", False, True),
        (b"PATCH", b"body", False, True),
        (b"PUT", LONG, False, True),
    ],
)
def test_only_what_may_be_repeated_or_was_not_sent_is_taken_back(
    method: bytes, body: bytes, sent: bool, moved: bool
) -> None:
    """H66."""
    with stand({"abort_drain": 1.0}) as s:
        s.say(method + BODY % (len(body), body))
        if sent:
            s.open()
        aborted(s)
        if moved:
            stable = s.open(STABLE)
            assert stable.written.endswith(b"\r\n\r\n" + body)
            s.hear(stable, b"HTTP/1.1 204 No Content\r\n\r\n")
            assert s.client.written.startswith(b"HTTP/1.1 204 ")
        else:
            assert s.client.written.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1\r\n" in s.client.written
        s.count()
        assert (s.outcomes, s.rescues) == ({("canary", "overflow"): 1}, {"withdrawn": 1} if moved else {})


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_nothing_is_sent_over_a_connection_that_opens_after_the_abort(method: bytes) -> None:
    """H54. Even where `abort_drain` lets what is open go on."""
    with stand({}) as s:
        s.say(method + BODY % (4, b"body"))
        s.publish(aborted=True)
        canary = s.open()
        assert (canary.written, canary.closing) == (b"", True)
        s.hear(s.open(STABLE), OK)
        assert s.client.written.endswith(b"ok")
        s.count()
        assert (s.outcomes, s.rescues) == ({("canary", "overflow"): 1}, {"withdrawn": 1})


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("cause", ["stable has failed", "stable has no endpoint", "the canary is removed, too"])
def test_nothing_is_sent_over_it_where_stable_cannot_answer_either(method: bytes, cause: str) -> None:
    """H54."""
    tried = cause == "stable has failed"
    with stand({}, fallback=frozenset(("stable",)), weight=0 if tried else 10_000) as s:
        s.say(method + BODY % (4, b"body"))
        if tried:
            s.refuse()
            s.publish(aborted=True)
        else:
            nothing = dataclasses.replace(s.route.stable, endpoints=())
            s.publish(stable=nothing, **({"aborted": True} if "stable" in cause else {"canary": None, "weight": 0}))
        canary = s.open()
        assert (canary.written, canary.closing) == (b"", True)
        assert s.client.written.startswith(b"HTTP/1.1 503 ")
        s.count()
        assert s.outcomes == {("stable", "unavailable") if tried else ("canary", "overflow"): 1}


def test_a_body_that_is_still_coming_goes_on_to_stable() -> None:
    """H66."""
    with stand({"abort_drain": 1.0}) as s:
        s.say(b"PUT" + BODY % (8, b"half"))
        s.open()
        aborted(s)
        stable = s.open(STABLE)
        s.say(b"rest")
        assert stable.written.endswith(b"\r\n\r\nhalfrest")


def test_what_stable_answers_already_is_not_cut_with_the_canary() -> None:
    """H66."""
    with stand({"abort_drain": 1.0}, fallback=frozenset(("canary",))) as s:
        s.say(AWAITED)
        s.refuse()
        stable = s.open(STABLE)
        aborted(s)
        s.hear(stable, OK)
        assert s.client.written.endswith(b"ok")
        s.count()
        assert (s.outcomes, s.rescues) == ({("canary", "unavailable"): 1}, {"fallback": 1})


def test_what_the_canary_answers_for_stable_ends_with_it() -> None:
    """H66. No one is left to ask: stable could not be reached."""
    with stand({"abort_drain": 1.0}, fallback=frozenset(("stable",)), weight=0) as s:
        s.say(AWAITED)
        s.refuse()
        s.open(CANARY)
        aborted(s)
        assert s.client.written.startswith(b"HTTP/1.1 503 ")
        s.count()
        assert s.outcomes == {("stable", "unavailable"): 1}


def test_a_stable_that_fails_what_was_taken_back_is_seen_to_fail_and_the_canary_is_not_asked() -> None:
    """H66."""
    with stand({"abort_drain": 1.0}) as s:
        s.say(AWAITED)
        s.open()
        aborted(s)
        s.refuse()
        assert s.client.written.startswith(b"HTTP/1.1 502 ")
        assert len(s.dialler.dialled) == 2
        s.count()
        assert s.outcomes == {("canary", "overflow"): 1}


def test_without_a_stable_that_could_answer_the_503_says_so() -> None:
    """H66."""
    with stand({"abort_drain": 1.0}) as s:
        s.say(AWAITED)
        s.open()
        s.publish(aborted=True, stable=dataclasses.replace(s.route.stable, endpoints=()))
        s.wait(1.5)
        assert s.client.written.startswith(b"HTTP/1.1 503 ")


def test_what_a_preview_rule_sent_to_the_canary_stays_there() -> None:
    """H66."""
    rule = Rule("testers", (), "canary", preview=True)
    with stand({"abort_drain": 1.0}, rules=(rule,), weight=0) as s:
        s.say(AWAITED)
        canary = s.open()
        aborted(s)
        s.hear(canary, OK)
        assert s.client.written.endswith(b"ok")


def test_what_was_taken_back_is_not_overdue_at_the_canary() -> None:
    with stand({"abort_drain": 1.0}) as s:
        s.say(AWAITED)
        s.open()
        s.wait(3)
        assert [one.count for one in s.count().overdue] == [1]
        aborted(s)
        s.wait(3)
        assert s.count().overdue == ()


def test_an_endpoint_that_left_the_table_finishes_what_it_works_on() -> None:
    """H62."""
    with stand({}) as s:
        s.say(AWAITED)
        canary = s.open()
        s.publish(canary=dataclasses.replace(s.route.versions[1], endpoints=()))
        s.wait(60)
        s.hear(canary, OK)
        assert s.client.written.endswith(b"ok")
        s.count()
        assert s.outcomes == {("canary", "success"): 1}


def test_shortly_before_the_end_of_a_drain_stable_is_asked_for_what_the_canary_did_not_answer() -> None:
    """H52."""
    with stand({"drain": 10.0}) as s:
        s.say(AWAITED)
        canary = s.open()
        s.draining = s.loop.create_task(s.plane.drain())
        s.wait(8.8)
        assert not canary.closing
        s.wait(0.5)
        s.hear(s.open(STABLE), OK)
        assert b"Connection: close\r\n" in s.client.written
        assert s.client.written.endswith(b"ok")
        s.wait(5)
        assert s.draining.result() == 0
        s.count()
        assert (s.outcomes, s.rescues) == ({("canary", "overflow"): 1}, {"withdrawn": 1})


def test_a_tunnel_to_stable_is_not_cut_with_the_canary_that_it_was_meant_for() -> None:
    """H66."""
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    with stand({"abort_drain": 1.0}, fallback=frozenset(("canary",))) as s:
        s.say(AWAITED[:-2] + upgrade)
        s.refuse()
        s.hear(s.open(STABLE), b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
        aborted(s)
        assert not s.client.closing
