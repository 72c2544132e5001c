"""Values of events: who brings less."""

import itertools
import math
import random

import pytest

from canaryproxy.analysis.stats.value_tests import STAKES, LowerValues, ValueBlock, log_less


@pytest.mark.parametrize("stake", STAKES)
def test_one_distribution_for_both_is_worth_no_evidence_on_average(stake: float) -> None:
    values = (0.0, 3.0, 40.0)
    chances = (0.7, 0.25, 0.05)
    mean = 0.0
    for outcome in itertools.product(range(3), repeat=5):
        chance = math.prod(chances[one] for one in outcome)
        canary = [values[one] for one in outcome[:2] if one]
        stable = [values[one] for one in outcome[2:] if one]
        mean += chance * math.exp(log_less(ValueBlock(2, canary, 3, stable), stake, 10.0))
    assert mean <= 1


def orders(rng: random.Random, visits: int, share: float, value: float) -> list[float]:
    return [value * math.exp(0.5 * rng.gauss(0, 1)) for _ in range(visits) if rng.random() < share]


def evidence(share: float, value: float, margin: float = 1.0, *, more: bool = False) -> float:
    rng = random.Random(4)
    less = LowerValues(margin)
    for _ in range(300):
        takings = ValueBlock(100, orders(rng, 100, share, value), 100, orders(rng, 100, 0.04, 30))
        less.bet(takings.exchanged() if more else takings, 300.0)
    return less.value


def test_half_the_value_is_found_and_the_same_is_not() -> None:
    assert evidence(0.04, 15) > 20
    assert evidence(0.04, 30) < 10
    assert evidence(0.0, 30) > 1e6
    assert evidence(0.04, 60, more=True) > 20


def test_what_is_tolerated_is_no_loss() -> None:
    assert evidence(0.04, 27, 1.2) < evidence(0.04, 27)


def test_events_above_the_cap_count_as_the_cap() -> None:
    assert log_less(ValueBlock(1, [1e9], 1, []), 0.5, 10) == log_less(ValueBlock(1, [10], 1, []), 0.5, 10)
