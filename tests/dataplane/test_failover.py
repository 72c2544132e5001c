"""What follows a failure, as tables: each row is what a test over sockets shows end to end (test_attempts,
test_recovery, test_upstream_errors). H58, H59, H66, H72.
"""

import dataclasses
import random

import pytest

from canaryproxy.dataplane.failover import (
    CLOSED,
    CONNECT_FAILURES,
    IDEMPOTENT,
    MAX_ATTEMPTS,
    FailoverPlan,
    FailoverStep,
    Repeatable,
    Sent,
    next_step,
    repeatable,
    shields,
)
from canaryproxy.model.failure import Failure, Outcome
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Shield, Version
from canaryproxy.routing.compiled_route import build_choices
from canaryproxy.routing.route_index import RouteIndex
from tests.routing.test_decide import idle

NEVER, ONCE_MORE, SAFE = Repeatable.NEVER, Repeatable.IDEMPOTENT, Repeatable.SAFE
RETRY, FALLBACK, SHIELD, GIVE_UP = FailoverStep.RETRY, FailoverStep.FALLBACK, FailoverStep.SHIELD, FailoverStep.GIVE_UP
RESET, CUT = Failure.UPSTREAM_RESET, Failure.RESPONSE_CUT


def steps(failure: Failure, sent: Sent, may: Repeatable, *, budget: bool) -> list[FailoverStep]:
    """The steps that are tried, each after the one before has led nowhere."""
    found: list[FailoverStep] = []
    while GIVE_UP not in found:
        found.append(next_step(failure, sent, budget, may, found[-1] if found else None))
    return found


@pytest.mark.parametrize(
    ("failure", "sent", "may", "without", "behind_shield"),
    [
        # The keep-alive race: a connection that was idle breaks under a request.
        (RESET, Sent.RACED, SAFE, [RETRY, FALLBACK], [RETRY, FALLBACK, SHIELD]),
        (RESET, Sent.RACED, ONCE_MORE, [RETRY, FALLBACK], [RETRY, FALLBACK]),
        (RESET, Sent.RACED, NEVER, [], []),
        # A new connection breaks under a request: a crashing endpoint.
        (RESET, Sent.REQUEST, SAFE, [FALLBACK], [FALLBACK, SHIELD]),
        (RESET, Sent.REQUEST, ONCE_MORE, [FALLBACK], [FALLBACK]),
        (RESET, Sent.REQUEST, NEVER, [], []),
        # The response breaks before a byte of it went to the client.
        (CUT, Sent.ANSWERED, SAFE, [], [SHIELD]),
        (CUT, Sent.ANSWERED, ONCE_MORE, [], []),
        (CUT, Sent.ANSWERED, NEVER, [], []),
        (Failure.RESPONSE_INVALID, Sent.ANSWERED, SAFE, [], [SHIELD]),
        (Failure.RESPONSE_HEAD_TOO_LARGE, Sent.ANSWERED, ONCE_MORE, [], []),
        # Nothing comes, or the endpoint takes nothing.
        (Failure.RESPONSE_TIMEOUT, Sent.REQUEST, SAFE, [], [SHIELD]),
        (Failure.RESPONSE_TIMEOUT, Sent.RACED, ONCE_MORE, [], []),
        (Failure.RESPONSE_TIMEOUT, Sent.REQUEST, NEVER, [], []),
        # No connection: a POST of which nothing was sent is as good as a GET.
        (Failure.CONNECT_REFUSED, Sent.NOTHING, SAFE, [FALLBACK], [FALLBACK, SHIELD]),
        (Failure.CONNECT_TIMEOUT, Sent.NOTHING, ONCE_MORE, [FALLBACK], [FALLBACK]),
        (Failure.CONNECT_UNSAFE, Sent.NOTHING, NEVER, [FALLBACK], [FALLBACK]),
        # A version without any endpoint is the fallback's alone.
        (Failure.NO_ENDPOINT, Sent.NOTHING, SAFE, [FALLBACK], [FALLBACK]),
        # What this proxy lacks, or decides, is no failure of the canary.
        (Failure.OVERLOADED, Sent.NOTHING, SAFE, [FALLBACK], [FALLBACK]),
        (Failure.OVERLOADED, Sent.REQUEST, SAFE, [], []),
        (Failure.OVERLOADED, Sent.ANSWERED, SAFE, [], []),
    ],
)
def test_what_is_tried_after_a_failure_and_in_which_order(
    failure: Failure, sent: Sent, may: Repeatable, without: list[FailoverStep], behind_shield: list[FailoverStep]
) -> None:
    assert steps(failure, sent, may, budget=False) == [*without, GIVE_UP]
    assert steps(failure, sent, may, budget=True) == [*behind_shield, GIVE_UP]


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("sent", Sent)
@pytest.mark.parametrize("budget", [False, True])
def test_what_may_have_been_executed_is_never_sent_twice(failure: Failure, sent: Sent, budget: bool) -> None:
    tried = steps(failure, sent, NEVER, budget=budget)
    assert tried == ([FALLBACK, GIVE_UP] if sent is Sent.NOTHING else [GIVE_UP])


@pytest.mark.parametrize("failure", [one for one in Failure if one not in CLOSED])
@pytest.mark.parametrize("may", Repeatable)
def test_only_a_lost_connection_is_repeated_without_a_shield(failure: Failure, may: Repeatable) -> None:
    for sent in (Sent.RACED, Sent.REQUEST, Sent.ANSWERED):
        assert steps(failure, sent, may, budget=False) == [GIVE_UP]


@pytest.mark.parametrize("failure", [one for one in Failure if one.origin != "upstream"])
@pytest.mark.parametrize("sent", Sent)
def test_the_shield_pays_for_failures_of_the_canary_alone(failure: Failure, sent: Sent) -> None:
    assert SHIELD not in steps(failure, sent, SAFE, budget=True)


@pytest.mark.parametrize(
    ("budget", "may", "holds"), [(True, SAFE, True), (True, ONCE_MORE, False), (False, SAFE, False)]
)
def test_a_5xx_and_lost_patience_are_shielded_where_the_request_changes_nothing(
    budget: bool, may: Repeatable, holds: bool
) -> None:
    assert shields(budget, may) is holds


@pytest.mark.parametrize(
    ("method", "may"),
    [
        (b"GET", SAFE),
        (b"HEAD", SAFE),
        (b"OPTIONS", SAFE),
        (b"PUT", ONCE_MORE),
        (b"DELETE", ONCE_MORE),
        (b"POST", NEVER),
        (b"PATCH", NEVER),
        (b"PURGE", NEVER),
    ],
)
def test_what_a_method_says_of_repetition(method: bytes, may: Repeatable) -> None:
    assert repeatable(method) is may
    assert (method in IDEMPOTENT) is (may is not NEVER)


# Where a step leads.


ROUTE = Route(
    "shop",
    Version("stable", tuple(Endpoint("s", port) for port in range(1, 8))),
    Version("canary", tuple(Endpoint("c", port) for port in range(1, 8))),
)
DICE = random.Random(1).random


def walk(route: Route, failure: Failure) -> tuple[list[str], FailoverPlan]:
    """The versions that are tried, all of which fail alike."""
    index = RouteIndex(RoutingTable(1, (route,)))
    target = build_choices(route, "weight")[1].decisions()[0]
    plan, seen = FailoverPlan(target), [target.version.name]
    while (then := plan.fall_back(target, failure, index, idle, DICE)) is not None:
        assert then.endpoint != target.endpoint
        seen.append(then.version.name)
        target = then
    return list(seen), plan


def test_a_few_endpoints_of_the_version_then_a_few_of_the_stand_in() -> None:
    seen, plan = walk(ROUTE, Failure.CONNECT_REFUSED)
    assert seen == ["canary"] * MAX_ATTEMPTS + ["stable"] * MAX_ATTEMPTS
    assert (plan.charged, plan.takeover) == (Outcome.UNAVAILABLE, "fallback")
    assert plan.final(Failure.CONNECT_REFUSED) is Failure.CONNECT_REFUSED


def test_a_reset_is_charged_as_a_reset_no_matter_who_answers() -> None:
    _, plan = walk(ROUTE, RESET)
    assert (plan.charged, plan.takeover) == (Outcome.RESET, "fallback")


def test_behind_a_shield_a_reset_goes_to_the_versions_own_endpoints_alone() -> None:
    shielded = dataclasses.replace(ROUTE, shield=Shield())
    seen, plan = walk(shielded, RESET)
    assert (set(seen), plan.takeover) == ({"canary"}, "")
    seen, plan = walk(shielded, Failure.CONNECT_REFUSED)
    assert (set(seen), plan.takeover) == ({"canary", "stable"}, "fallback")


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (Failure.CONNECT_REFUSED, Failure.CANARY_UNREACHABLE),
        (Failure.CONNECT_TIMEOUT, Failure.CANARY_UNREACHABLE),
        (RESET, RESET),
    ],
)
def test_a_canary_alone_is_unavailable_when_nothing_could_be_opened(failure: Failure, shown: Failure) -> None:
    seen, plan = walk(dataclasses.replace(ROUTE, fallback=frozenset()), failure)
    assert seen == ["canary"] * MAX_ATTEMPTS
    assert plan.final(failure) is shown
    assert plan.charged is failure.outcome


def test_a_version_without_endpoints_goes_straight_to_the_stand_in() -> None:
    empty = dataclasses.replace(ROUTE, canary=Version("canary", ()))
    index = RouteIndex(RoutingTable(1, (empty,)))
    target = build_choices(empty, "weight")[1].decisions()[0]
    plan = FailoverPlan(target)
    then = plan.fall_back(target, Failure.NO_ENDPOINT, index, idle, DICE)
    assert then is not None
    assert then.version.name == "stable"
    assert plan.charged is Outcome.UNAVAILABLE


def test_stable_answers_once_behind_the_shield_and_the_first_failure_stays_charged() -> None:
    route = dataclasses.replace(ROUTE, shield=Shield())
    index = RouteIndex(RoutingTable(1, (route,)))
    plan = FailoverPlan(build_choices(route, "weight")[1].decisions()[0])
    then = plan.behind_shield(index, idle, DICE)
    assert then is not None
    assert then.version.name == "stable"
    plan.shielded(Outcome.ERROR_5XX)
    plan.charge(Outcome.TIMEOUT)
    assert (plan.charged, plan.takeover) == (Outcome.ERROR_5XX, "shield")
    assert plan.behind_shield(index, idle, DICE) is None


def test_without_a_shield_there_is_nothing_behind_it() -> None:
    index = RouteIndex(RoutingTable(1, (ROUTE,)))
    assert FailoverPlan(build_choices(ROUTE, "weight")[1].decisions()[0]).behind_shield(index, idle, DICE) is None


def test_what_is_taken_back_is_charged_with_nothing_that_is_judged() -> None:
    index = RouteIndex(RoutingTable(1, (dataclasses.replace(ROUTE, aborted=True),)))
    stable, canary = (one.decisions()[0] for one in build_choices(ROUTE, "weight"))
    plan = FailoverPlan(canary)
    then = plan.withdraw(canary, index, idle, DICE)
    assert then is not None
    assert (then.version.name, plan.charged, plan.takeover) == ("stable", Outcome.OVERFLOW, "withdrawn")
    assert FailoverPlan(stable).withdraw(stable, index, idle, DICE) is None


@pytest.mark.parametrize("failure", CONNECT_FAILURES)
def test_a_failure_before_the_first_byte_leads_to_the_stand_in_even_behind_a_shield(failure: Failure) -> None:
    seen, plan = walk(dataclasses.replace(ROUTE, shield=Shield()), failure)
    assert (seen[-1], plan.takeover) == ("stable", "fallback")
