"""Where a failed attempt goes on, and what is charged. H58, H59."""

import dataclasses
import random

import pytest

from canaryproxy.model.failure import Failure
from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version
from canaryproxy.proxy.course import MOST_TRIES, Course
from canaryproxy.routing.entry import verdicts
from canaryproxy.routing.match import RouteIndex
from tests.routing.test_decide import idle

ROUTE = Route(
    "shop",
    Version("stable", tuple(Endpoint("s", port) for port in range(1, 8))),
    Version("canary", tuple(Endpoint("c", port) for port in range(1, 8))),
)
DICE = random.Random(1).random


def walk(route: Route, failure: Failure) -> tuple[list[str], Course]:
    """The versions that are tried, all of which fail alike."""
    index = RouteIndex(RoutingTable(1, (route,)))
    target = verdicts(route, "weight")[1].decisions()[0]
    course, seen = Course(target), [target.version.name]
    while (then := course.after(target, failure, index, idle, DICE)) is not None:
        assert then.endpoint != target.endpoint
        seen.append(then.version.name)
        target = then
    return list(seen), course


def test_a_few_endpoints_of_the_version_then_a_few_of_the_stand_in() -> None:
    seen, course = walk(ROUTE, Failure.CONNECT_REFUSED)
    assert seen == ["canary"] * MOST_TRIES + ["stable"] * MOST_TRIES
    assert (course.charged, course.rescue) == (Outcome.UNAVAILABLE, "fallback")
    assert course.verdict(Failure.CONNECT_REFUSED) is Failure.CONNECT_REFUSED


def test_a_reset_is_charged_as_a_reset_whoever_answers() -> None:
    _, course = walk(ROUTE, Failure.UPSTREAM_RESET)
    assert (course.charged, course.rescue) == (Outcome.RESET, "fallback")


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure.CONNECT_REFUSED, Failure.CANARY_UNREACHABLE),
        (Failure.CONNECT_TIMEOUT, Failure.CANARY_UNREACHABLE),
        (Failure.UPSTREAM_RESET, Failure.UPSTREAM_RESET),
    ],
)
def test_a_canary_alone_is_unavailable_when_nothing_could_be_opened(failure: Failure, told: Failure) -> None:
    seen, course = walk(dataclasses.replace(ROUTE, fallback=frozenset()), failure)
    assert seen == ["canary"] * MOST_TRIES
    assert course.verdict(failure) is told
    assert course.charged is failure.outcome


def test_a_version_without_endpoints_goes_straight_to_the_stand_in() -> None:
    empty = dataclasses.replace(ROUTE, canary=Version("canary", ()))
    index = RouteIndex(RoutingTable(1, (empty,)))
    target = verdicts(empty, "weight")[1].decisions()[0]
    course = Course(target)
    then = course.after(target, Failure.NO_ENDPOINT, index, idle, DICE)
    assert then is not None
    assert then.version.name == "stable"
    assert course.charged is Outcome.UNAVAILABLE
