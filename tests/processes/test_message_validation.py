"""What a worker of ours says is believed, and what none of ours would say is not, whatever it is."""

import math
import random
import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.codec import HEADER, UP, Decoder, ProtocolError, encode
from canaryproxy.ipc.messages import VERSION, Acknowledged, Drain, Drained, Introduction, Message
from canaryproxy.mode import PACKAGE
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, Outcome
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, MirrorDelta, OpenRequests, UsersDelta
from canaryproxy.model.table import Affinity
from canaryproxy.processes.message_validation import (
    ENTRIES,
    OPEN,
    OUTCOMES,
    RATE,
    SAMPLED,
    OutOfBoundsError,
    WorkerMessageValidator,
    shown,
)
from canaryproxy.routing.compiled_route import CompiledRoute
from canaryproxy.telemetry.read.metrics import EVICTED, TURNED_AWAY
from canaryproxy.telemetry.record.distinct_users import MAX_KEPT
from canaryproxy.telemetry.record.recorder import Recorder
from tests.processes.test_known_names import knowing, route
from tests.support.filing import Filed

SHOP = route("shop", rules=("beta",))
VOCABULARY = knowing((SHOP, route("blog")))
KEY = CounterKey("shop", "canary", "10.0.0.1:9", "weight", True)
CELL = CounterDelta(
    KEY, 100, 2, {"success": 2}, {"reset": 1}, {200: 2}, {-40: 2}, {-39: 2}, {3: 1}, {"fallback": 1}, 1, {503: 1}
)
USERS = UsersDelta("shop", "canary", 500, 0, frozenset((1, 2**64 - 1)), frozenset((1,)))
GOAL = GoalDelta("shop", "canary", "buy", True, 2, 3.5, {0: 1, 31: 1}, 0, {1: 3.5})
WHOLE = Delta(
    1,
    100.25,
    (CELL,),
    (OpenRequests(KEY, 99, 2),),
    (USERS,),
    (GOAL,),
    (MirrorDelta("shop", 3, 1, {"success": 2}),),
    {404: 1},
    {("shop", "canary"): 1},
    frozenset(("10.0.0.1:9",)),
    {("blog", "stable"): 4},
    {"full": 2},
    {"files": 1},
)


def border(began: int = 1, at: float = 99.0) -> WorkerMessageValidator:
    """One of a worker that serves."""
    made = WorkerMessageValidator(VOCABULARY, began, at)
    made.check(own_build(), at)
    made.check(Acknowledged(began), at)
    return made


def refused(message: Message, now: float = 100.5) -> str:
    """Why it may not say that."""
    with pytest.raises(OutOfBoundsError) as caught:
        border().check(message, now)
    return str(caught.value)


def until_refused(made: WorkerMessageValidator, message: Message, times: int) -> str:
    """Why it may not say that so often."""
    for _ in range(times):
        try:
            made.check(message, 130.0 if isinstance(message, Delta) and message.at == 130.0 else 101.0)
        except OutOfBoundsError as error:
            return str(error)
    return ""


def test_what_a_recorder_counts_is_within_bounds() -> None:
    """Every kind of count, of everything that a table leads to."""
    recorder, made = Recorder(b"secret"), border()
    entry = CompiledRoute(replace(SHOP, affinity=Affinity("source")))
    decisions: list[Decision] = [
        decision
        for verdict in (entry.stable, entry.canary, *(entry.split_of_rule(SHOP.rules[0]).below,))
        for decision in verdict.decisions()
    ]
    open_cells = []
    for number in range(2_000):
        now, decision = 99.0 + number / 100, decisions[number % len(decisions)]
        cell = recorder.start(decision, now)
        recorder.user_seen(decision, number + 1)
        recorder.user_failed(decision, number + 1)
        recorder.goal_reached(decision, [("buy", 1e9 if number % 3 else 0.0), ("buy", number / 7)], number % 5)
        cell.finish(list(Outcome)[number % 9], 100 + number % 500, 10.0 ** (number % 16 - 9), 10.0 ** (number % 15 - 9))
        cell.repeat(Outcome.RESET)
        cell.connected(0.001)
        cell.reply(400 + number % 200)
        cell.rescue(("fallback", "shield", "withdrawn")[number % 3])
        cell.eject()
        for failure in Failure:
            recorder.refuse(failure.status)
        recorder.mirror_sent("shop")
        recorder.mirror_dropped("shop", Outcome.OVERFLOW)
        open_cells.append((recorder.start(decision, now), bool(number % 2)))
        if number % 50 == 49:
            delta = recorder.flush(1, now, open_cells, {("shop", "canary"): 3}, frozenset(("10.0.0.1:9",)))
            (heard,) = Decoder(UP).feed(encode(delta))
            made.check(heard, now)


def test_a_busy_worker_stays_within_the_rate_also_after_a_long_silence() -> None:
    """Fifty thousand requests a second, each with six counts and a user of its own, are reported after ten minutes."""
    made = border()
    many = 50_000 * 600
    counts = {200: many}
    cell = CounterDelta(KEY, 100, many, {"success": many}, {}, counts, {0: many}, {0: many}, {0: many})
    made.check(replace(WHOLE, at=699.0, cells=(cell,)), 700.0)
    for number in range(20):
        busy = replace(GOAL, events=50_000, value=5e4, values={0: 50_000}, users=dict.fromkeys(range(50000), 1.0))
        fresh = replace(USERS, seen=frozenset(range(50_000)), failed=frozenset(range(50_000)))
        cell = CounterDelta(
            KEY, 100, 50_000, {"success": 50_000}, {}, {200: 50_000}, {0: 50_000}, {0: 50_000}, {0: 50_000}
        )
        at = 700.0 + number
        made.check(replace(WHOLE, at=at, cells=(cell,), users=(fresh,), goals=(busy,)), at)
    users = frozenset(range(MAX_KEPT - 1))
    made.check(replace(WHOLE, at=802.0, users=(replace(USERS, seen=users, failed=frozenset()),)), 802.0)


def test_parts_of_a_report_share_what_there_is_room_for() -> None:
    made = border()
    cell = replace(CELL, starts=int(RATE))
    for _ in range(20):
        made.check(replace(WHOLE, at=130.0, cells=(cell,)), 130.0)
    assert until_refused(made, replace(WHOLE, at=130.0, cells=(cell,)), 20).startswith("the sum of all counts is")


def cell(**change: Any) -> Delta:
    return replace(WHOLE, cells=(replace(CELL, **change),))


def key(**change: Any) -> Delta:
    return cell(key=KEY._replace(**change))


def users(**change: Any) -> Delta:
    return replace(WHOLE, users=(replace(USERS, **change),))


def goal(**change: Any) -> Delta:
    return replace(WHOLE, goals=(replace(GOAL, **change),))


def standing(**change: Any) -> Delta:
    return replace(WHOLE, **change)


HUGE = 2**62
SIDE = ("shop", "canary")


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (cell(starts=-1), "starts is -1, allowed: no negative number"),
        (cell(starts=HUGE), "the sum of all counts is"),
        (cell(ejections=-1), "ejections is -1"),
        (cell(ejections=HUGE), "the sum of all counts is"),
        (cell(second=HUGE), f"second is {HUGE}, allowed: 98 to 101"),
        (cell(second=-HUGE), "second is"),
        (cell(second=3), "second is 3"),
        *(
            (
                cell(**{name: {"success" if name in ("outcomes", "retried") else "fallback": HUGE}}),
                "the sum of all counts is",
            )
            for name in ("outcomes", "retried", "rescues")
        ),
        *(
            (cell(**{name: {"success" if name in ("outcomes", "retried") else "fallback": -5}}), f"{name} is -5")
            for name in ("outcomes", "retried", "rescues")
        ),
        *(
            (cell(**{name: {"\x1b[2J": 1}}), rf"a key of {name} is '\x1b[2J', allowed: ")
            for name in ("outcomes", "retried", "rescues")
        ),
        *(
            (cell(**{name: {200: HUGE}}), "the sum of all counts is")
            for name in ("codes", "replies", "latency", "duration", "connect")
        ),
        *(
            (cell(**{name: {200: 9, 201: -4}}), f"{name} is -4")
            for name in ("codes", "replies", "latency", "duration", "connect")
        ),
        *(
            (cell(**{name: {code: 1}}), f"a key of {name} is {code}, allowed: statuses from 100 to 599")
            for name in ("codes", "replies")
            for code in (99, 600, -1, HUGE)
        ),
        *(
            (cell(**{name: {bucket: 1}}), f"a key of {name} is {bucket}, allowed: buckets from -638 to 524")
            for name in ("latency", "duration", "connect")
            for bucket in (2**40, -(2**40), 525, -639)
        ),
        (key(route="nowhere"), "route is 'nowhere', allowed: routes that were published"),
        (key(route="x" * 10**6), "(1000002 characters), allowed: routes that were published"),
        (key(version="blue"), "version of route 'shop' is 'blue', allowed: stable, canary"),
        (key(endpoint="10.0.0.1:1"), "endpoint of route 'shop' is '10.0.0.1:1'"),
        (key(reason="rule:none"), "reason of route 'shop' is 'rule:none'"),
        (users(level=HUGE), f"level is {HUGE}, allowed: 0 to 64"),
        (users(level=-1), "level is -1"),
        (users(level=64, seen=frozenset(), failed=frozenset()), "level is 64, allowed: 0 for 0 users"),
        (users(level=1, seen=frozenset(range(SAMPLED - 1))), "level is 1"),
        (users(level=9, seen=frozenset(range(SAMPLED))), "the sum of all counts is"),
        (users(level=1, seen=frozenset((2**63,))), "the greatest of users seen is"),
        (users(seen=frozenset((-1,))), "the least of users seen is -1"),
        (users(failed=frozenset((-1,))), "the least of users failed is -1"),
        (users(seen=frozenset(range(MAX_KEPT + 1))), "the number of users seen is"),
        (users(weight=10_001), "weight is 10001, allowed: 0 to 10,000"),
        (users(route="none"), "route is 'none'"),
        (users(version="none"), "version of route 'shop' is 'none'"),
        (goal(goal="none"), "goal of route 'shop' is 'none'"),
        (goal(events=-1), "events is -1"),
        (goal(events=HUGE, values={0: HUGE}), "the sum of all counts is"),
        (goal(values={0: HUGE}), "the sum of values is"),
        (goal(values={2**40: 2}), "a key of values is"),
        (goal(values={32_767: 2}), "a key of values is 32767"),
        (goal(value=math.nan), "value is nan"),
        (goal(value=math.inf), "value is inf"),
        (goal(value=-0.5), "value is -0.5"),
        (goal(value=2.1e9), "value is 2100000000.0"),
        (goal(users={1: math.nan}), "the sum of users' values is nan"),
        (goal(users={1: -1.0, 2: 2.0}), "the least of users' values is -1.0"),
        (goal(users={1: 1e300}), "the sum of users' values is 1e+300"),
        (goal(users={1: 0.0, 2: 0.0, 3: 0.0}), "the number of users of a goal is 3, allowed: 0 to 2"),
        (goal(users={-1: 0.0}), "the least of users of a goal is -1"),
        (goal(level=HUGE), "level is"),
        (goal(level=3), "level is 3, allowed: 0 for 1 users"),
        (standing(mirrors=(MirrorDelta("none"),)), "route is 'none'"),
        (standing(mirrors=(MirrorDelta("shop", -1),)), "sent is -1"),
        (standing(mirrors=(MirrorDelta("shop", 1, HUGE),)), "the sum of all counts is"),
        (standing(mirrors=(MirrorDelta("shop", 1, 1, {"none": 1}),)), "a key of outcomes is 'none'"),
        (standing(refused={42: 1}), "a key of refused is 42"),
        (standing(refused={404: -1}), "refused is -1"),
        (standing(refused={404: HUGE}), "the sum of all counts is"),
        (standing(turned_away={"x\n": 1}), r"a key of turned_away is 'x\n', allowed: reasons: "),
        (standing(turned_away={"full": -1}), "turned_away is -1"),
        (standing(evicted={"none": 1}), "a key of evicted is 'none', allowed: reasons: "),
        (standing(evicted={"full": HUGE}), "the sum of all counts is"),
        (standing(in_flight={("none", "stable"): 1}), "route is 'none'"),
        (standing(in_flight={("shop", "none"): 1}), "version of route 'shop' is 'none'"),
        (standing(in_flight={SIDE: -1}), "in_flight is -1, allowed: no negative number"),
        (standing(in_flight={SIDE: OPEN + 1}), "the sum of in_flight is"),
        (standing(tunnels={SIDE: HUGE}), "the sum of tunnels is"),
        (standing(tunnels={("shop", "none"): 1}), "version of route"),
        (standing(turned_away={"bored": 1}), "a key of turned_away is 'bored'"),
        (standing(evicted={"full": -1}), "evicted is -1"),
        (standing(held=-1), "held is -1"),
        (standing(room=2**62 + 1), "room is 4611686018427387905"),
        (standing(shed=2**21), "shed is 2097152"),
        (standing(ejected=frozenset(("evil.test:1",))), "an endpoint in ejected is 'evil.test:1'"),
        (standing(overdue=(OpenRequests(KEY, 99, -1),)), "count of overdue is -1"),
        (standing(overdue=(OpenRequests(KEY, 99, OPEN), OpenRequests(KEY, 98, OPEN))), "the sum of overdue is"),
        (standing(overdue=(OpenRequests(KEY, HUGE, 1),)), "second is"),
        (standing(overdue=(OpenRequests(KEY._replace(route="x"), 99, 1),)), "route is 'x'"),
        (standing(at=math.nan), "at is nan"),
        (standing(at=math.inf), "at is inf"),
        (standing(at=-math.inf), "at is -inf"),
        (standing(at=1e300), "at is 1e+300, allowed: 99.000 to 101.500"),
        (standing(at=98.9), "at is 98.9"),
        (standing(generation=2), "generation is 2, allowed: 1 to 1"),
        (standing(generation=0), "generation is 0"),
        (standing(cells=(CELL,) * (ENTRIES + 1)), f"the length of cells is {ENTRIES + 1}, allowed: at most {ENTRIES}"),
        (standing(users=(USERS,) * (ENTRIES + 1)), "the length of users"),
        (standing(goals=(GOAL,) * (ENTRIES + 1)), "the length of goals"),
        (standing(mirrors=(MirrorDelta("shop"),) * (ENTRIES + 1)), "the length of mirrors"),
    ],
)
def test_one_word_out_of_bounds_is_refused_and_named(delta: Delta, words: str) -> None:
    said = refused(delta)
    assert words in said
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 300


def test_every_field_of_a_report_is_looked_at() -> None:
    """A field that is added needs bounds: this list is what `Check` and the tests above know."""
    known = {
        CounterDelta: "key second starts outcomes retried codes latency duration connect rescues ejections replies",
        OpenRequests: "key second count",
        UsersDelta: "route version weight level seen failed",
        GoalDelta: "route version goal analysed events value values level users",
        MirrorDelta: "route sent dropped outcomes",
        Delta: "generation at cells overdue users goals mirrors refused tunnels ejected in_flight turned_away "
        "evicted held room shed",
        Introduction: "version compiled why package python",
    }
    for kind, names in known.items():
        assert [field.name for field in fields(kind)] == names.split()


def test_every_reason_for_which_a_connection_is_closed_is_one_that_may_be_reported() -> None:
    """One that is missing in the list would have honest workers killed."""
    calls = re.compile(r"\.(turn_away|evict)\(\"(\w+)\"")
    found = {call for path in (PACKAGE / "dataplane").glob("*.py") for call in calls.findall(path.read_text())}
    assert {reason for name, reason in found if name == "turn_away"} <= set(TURNED_AWAY)
    assert {reason for name, reason in found if name == "evict"} <= set(EVICTED)
    assert ("evict", "full") in found


def test_a_clock_goes_forward_and_not_after_ours() -> None:
    made = border()
    made.check(replace(WHOLE, at=101.0), 101.0)
    made.check(replace(WHOLE, at=101.0), 101.0)
    with pytest.raises(OutOfBoundsError, match=r"at is 100\.9"):
        made.check(replace(WHOLE, at=100.9), 101.0)
    with pytest.raises(OutOfBoundsError, match=r"at is 101\.0, allowed: 120\.000 to 131\.000"):
        made.check(replace(WHOLE, at=101.0), 130.0, floor=120.0)


def test_generations_are_those_that_it_was_sent_in_their_order() -> None:
    made = border(3)
    for wrong in (0, 3, 4, 2**62, -1):
        with pytest.raises(OutOfBoundsError, match="the generation acknowledged"):
            made.check(Acknowledged(wrong), 100.0)
    made.published(4)
    made.published(6)
    made.check(Acknowledged(4), 100.0)
    with pytest.raises(OutOfBoundsError, match="generation is 3, allowed: 4 to 6"):
        made.check(replace(WHOLE, generation=3), 100.5)
    made.check(Acknowledged(6), 100.0)
    made.check(replace(WHOLE, generation=6), 100.5)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ((Acknowledged(1),), "the first message is 'Acknowledged'"),
        ((WHOLE,), "the first message is 'Delta'"),
        ((own_build(), WHOLE), "a report is 'one before it serves'"),
        ((own_build(), own_build()), "an introduction is 'a second one'"),
        ((own_build(), Acknowledged(1), own_build()), "an introduction is 'a second one'"),
        ((own_build(), Acknowledged(1), Acknowledged(1)), "the generation acknowledged is 1, allowed: 2 to 1"),
        ((own_build(), Acknowledged(1), Drained(0)), "an end of draining"),
        ((own_build(), Acknowledged(1), Drain()), "a message is 'Drain'"),
        ((replace(own_build(), why="\x1b[2Jall is well"),), r"why of the introduction is '\x1b[2Jall is well'"),
        ((replace(own_build(), version="9" * 5_000),), "version of the introduction"),
        ((replace(own_build(), package="/a\nb"),), "package of the introduction"),
        ((replace(own_build(), python="\u202e"),), r"python of the introduction is '\u202e'"),
    ],
)
def test_messages_come_in_their_order(messages: tuple[Message, ...], words: str) -> None:
    made = WorkerMessageValidator(VOCABULARY, 1, 99.0)
    for message in messages[:-1]:
        made.check(message, 99.5)
    with pytest.raises(OutOfBoundsError) as caught:
        made.check(messages[-1], 100.5)
    assert words in str(caught.value)


@pytest.mark.parametrize("cut", [-1, 2**62])
def test_it_ends_once_with_a_number_that_can_be(cut: int) -> None:
    made = border()
    made.draining()
    with pytest.raises(OutOfBoundsError, match="exchanges cut"):
        made.check(Drained(cut), 100.0)
    made.check(Drained(3), 100.0)
    with pytest.raises(OutOfBoundsError, match="a message after the last one"):
        made.check(WHOLE, 100.5)


def test_a_flood_of_messages_is_refused_and_the_answers_to_many_tables_are_not() -> None:
    made = border()
    for generation in range(2, 5_000):
        made.published(generation)
        made.check(Acknowledged(generation), 99.0)
    quiet = replace(WHOLE, generation=4_999, cells=(), users=(), goals=(), mirrors=())
    assert until_refused(made, quiet, 1_300).startswith("messages is 'more than 1,000 at once'")


def test_four_reports_a_second_are_none() -> None:
    made = border()
    for number in range(5_000):
        now = 100.25 + number / 4
        made.check(replace(WHOLE, at=now), now)


def test_what_is_shown_is_short_and_escaped() -> None:
    assert shown("a\n\x1b[31m\x00é\u202e") == r"'a\n\x1b[31m\x00\xe9\u202e'"
    assert shown("x" * 500) == f"'{'x' * 79}... (502 characters)"


# Random reports.

TEXTS = ("shop", "blog", "canary", "stable", "10.0.0.1:9", "weight", "rule:beta", "buy", "", "x", "\x1b[2J", "success")
INTS = (0, 1, -1, 2, 200, 599, 99, 600, 100, -639, 525, 10_000, 2**31, 2**40, 2**62, 2**63, -(2**63), 2**64 - 1)
FLOATS = (99.5, 100.25, 0.0, -1.0, 1e9, 1e300, math.nan, math.inf, -math.inf, 5e-324)


def changed(value: Any, rng: random.Random, often: float) -> Any:
    """Something like it, with the same types, of which parts were changed."""
    if isinstance(value, (bool, int, float, str)):
        if rng.random() >= often:
            return value
        if isinstance(value, bool):
            return not value
        return rng.choice(TEXTS if isinstance(value, str) else FLOATS if isinstance(value, float) else INTS)
    if isinstance(value, CounterKey):
        return CounterKey(*(changed(one, rng, often) for one in value))
    if isinstance(value, tuple):
        many = value * rng.choice((0, 2, 3)) if rng.random() < often and len(value) < 5 else value
        return tuple(changed(one, rng, often) for one in many)
    if isinstance(value, frozenset):
        return frozenset(changed(one, rng, often) for one in value)
    if isinstance(value, dict):
        return {changed(key, rng, often): changed(one, rng, often) for key, one in value.items()}
    return type(value)(*(changed(getattr(value, field.name), rng, often) for field in fields(value)))


@given(st.integers(0, 2**64), st.sampled_from([0.003, 0.01, 0.03, 0.2]))
@settings(max_examples=300)
def test_mutated_reports_are_filed_or_refused_and_nothing_else(seed: int, often: float) -> None:
    """Through the bytes, the bounds, and all that the supervisor does with a report."""
    rng, made, filed = random.Random(seed), border(), Filed()
    now, refusals = 100.5, 0
    for _ in range(5):
        try:
            for heard in Decoder(UP).feed(encode(changed(WHOLE, rng, often))):
                made.check(heard, now, 90.0)
                assert isinstance(heard, Delta)
                filed.add(heard)
        except (OutOfBoundsError, ProtocolError):
            refusals += 1
    filed.look(now)
    filed.ask(now)
    assert filed.size() < 10_000
    assert refusals or often < 0.2


@given(st.binary(max_size=200), st.sampled_from([0, 1, 4, 5, 6, 255]))
@settings(max_examples=300)
def test_any_bytes_are_messages_or_garbled(payload: bytes, kind: int) -> None:
    made = border()
    try:
        for message in Decoder(UP).feed(framed(payload, kind)):
            made.check(message, 100.5)
    except (OutOfBoundsError, ProtocolError):
        pass


def framed(payload: bytes, kind: int) -> bytes:
    """Bytes with the header of a message."""
    return HEADER.pack(len(payload), VERSION, kind) + payload


def test_what_lies_within_the_bounds_does_not_gather() -> None:
    """A worker that lies for hours: other names, seconds, statuses, buckets and waiting requests with every report."""
    made, filed, sizes = border(), Filed(), []
    for number in range(500):
        now = 110.25 + 15 * number
        cells = tuple(
            CounterDelta(
                KEY._replace(reason=reason),
                second,
                1,
                dict.fromkeys(OUTCOMES, 1),
                codes={100 + number: 1},
                latency={number - 200: 1},
                replies={100 + number: 1},
            )
            for reason in ("weight", "rule:beta")
            for second in (int(now), int(now) - 1, 99 + number * 7 % 15)
        )
        overdue = tuple(OpenRequests(KEY, int(now) - some, 1_000) for some in range(10))
        seen = frozenset(range(number % 40 * 100, number % 40 * 100 + 300))
        delta = Delta(1, now, cells, overdue, (replace(USERS, seen=seen, failed=frozenset()),))
        made.check(delta, now)
        filed.add(delta)
        filed.look(now)
        if number in (300, 499):
            sizes.append(filed.size())
    assert sizes[1] < 1.3 * sizes[0]
