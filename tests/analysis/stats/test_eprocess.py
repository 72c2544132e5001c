"""Mixtures of bets: with restarts, without, and what they never do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.analysis.stats.eprocess import (
    MAX_FACTOR,
    EDetector,
    EProcess,
    anytime_p,
    even_weights,
    exp,
    start_weight,
)


def test_all_of_the_wealth_is_bet_in_the_end_and_never_more() -> None:
    total = math.fsum(start_weight(look) for look in range(1, 2_000_000))
    assert 0.999 < total < 1


def test_without_news_the_evidence_stays_exactly_one() -> None:
    found = EDetector(even_weights(8))
    for _ in range(10_000):
        found.bet([0.0] * 8)
        assert found.value == 1.0


def test_a_harm_that_begins_late_is_found_nearly_as_soon_as_one_that_was_there_at_once() -> None:
    def looks_until_found(healthy: int) -> int:
        found = EDetector(even_weights(1))
        for _ in range(healthy):
            found.bet([-0.05])
        looks = 0
        while found.value < 100:
            found.bet([0.5])
            looks += 1
        return looks

    assert looks_until_found(0) == 11
    assert looks_until_found(3600) <= 30


def test_several_blocks_of_one_look_bring_in_wealth_once() -> None:
    whole, parts = EDetector(even_weights(1)), EDetector(even_weights(1))
    whole.bet([0.7])
    parts.bet([0.3])
    parts.bet([0.4], look=False)
    assert math.isclose(whole.value, parts.value)


def test_no_evidence_is_too_great_to_be_counted_on() -> None:
    for found in (EDetector(even_weights(2)), EProcess(even_weights(2))):
        for _ in range(50):
            found.bet([500.0, 0.0])
        assert math.isfinite(found.value)
        assert found.value > 1e100
    assert exp(1e6) == MAX_FACTOR


def test_a_product_remembers_what_spoke_against() -> None:
    found = EProcess(even_weights(1))
    for log in (-400.0, -400.0, 400.0, 400.0, math.log(20)):
        found.bet([log])
    assert math.isclose(found.value, 20)
    assert anytime_p(found.highest) == 1 / found.highest


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), max_size=30))
def test_the_mixture_with_restarts_is_the_explicit_sum_over_starting_looks(blocks: list[list[float]]) -> None:
    weights = (0.5, 0.25, 0.25)
    found = EDetector(weights, horizon=10)
    for block in blocks:
        found.bet(block)
    starts = [start_weight(look, 10) for look in range(1, len(blocks) + 1)]
    expected = (
        1
        - sum(starts)
        + sum(
            weight * start * math.exp(sum(block[number] for block in blocks[look:]))
            for number, weight in enumerate(weights)
            for look, start in enumerate(starts)
        )
    )
    assert math.isclose(found.value, expected, rel_tol=1e-9)
    assert EProcess(weights).value == pytest.approx(1)
