"""Goals as checks."""

import random

import pytest

from canaryproxy.analysis.checks.goals import GoalCheck
from canaryproxy.analysis.spec import GoalSpec
from canaryproxy.analysis.stats.rate_tests import Block


def test_a_cap_is_what_stable_seldom_exceeds_unless_it_is_configured() -> None:
    check = GoalCheck(GoalSpec("revenue", valued=True), 20.0, "request")
    assert check.cap is None
    rng = random.Random(1)
    check.look(Block(10, 0, 1000, 0), ([], [30 + rng.random() for _ in range(100)]))
    cap = check.cap
    assert cap is not None
    assert 29 < cap < 32
    assert GoalCheck(GoalSpec("revenue", valued=True, cap=7.0), 20.0, "request").cap == 7.0
    worthless = GoalCheck(GoalSpec("revenue", valued=True), 20.0, "request")
    worthless.look(Block(10, 0, 1000, 0), ([], [0.0] * 100))
    assert worthless.cap is None


def test_looks_without_a_canary_are_kept_for_the_next() -> None:
    check = GoalCheck(GoalSpec("cart"), 20.0, "request")
    check.look(Block(0, 0, 1000, 50), ([], [1.0] * 50))
    assert check.finding().verdict == "inconclusive"
    assert check.finding().sentence == "no request of both versions was seen yet"
    check.look(Block(1000, 5, 0, 0), ([1.0] * 5, []))
    found = check.finding()
    assert found.comparison == "worse"
    assert found.sentence.startswith("cart: 5 of the canary's 1,000 requests, 50 of stable's 1,000; 0.1 times the rate")
    check.step()
    assert check.finding().samples.canary == 0


def test_it_says_when_too_few_were_seen() -> None:
    check = GoalCheck(GoalSpec("cart"), 20.0, "user")
    check.look(Block(100, 5, 100, 5), ([1.0] * 5, [1.0] * 5))
    assert check.finding().missing == "differences are seldom seen before 900 more users of each version"


def test_more_is_better() -> None:
    check = GoalCheck(GoalSpec("revenue", valued=True, cap=100.0), 20.0, "request")
    for _ in range(30):
        check.look(Block(200, 20, 200, 5), ([30.0] * 20, [30.0] * 5))
    assert check.finding().comparison == "better"
    assert check.gain > 20


def test_what_events_are_worth_has_an_interval_too() -> None:
    check = GoalCheck(GoalSpec("revenue", valued=True), 20.0, "request")
    rng = random.Random(3)
    check.look(Block(100, 10, 1000, 100), ([30.0] * 10, [30.0] * 100))
    assert check.finding().interval is None
    for _ in range(40):
        orders = [[30 * rng.lognormvariate(0, 0.5) for _ in range(count)] for count in (12, 100)]
        check.look(Block(100, 12, 1000, 100), (orders[0], orders[1]))
    found = check.finding()
    assert found.interval is not None
    low, high = found.interval
    assert high is not None
    assert low < 1.2 < high < 2
    assert found.ratio == pytest.approx(1.2, rel=0.1)
    check.step()
    assert check.finding().interval is None
