"""Rates: no harm is believed more often than stated, whatever happens to both versions."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.analysis.stats.rate_tests import (
    HIGHER,
    LOWER,
    NOTHING,
    Block,
    HigherRate,
    LowerRate,
    NotHigherRate,
    log_floor,
    log_relative,
)


def binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def expected(canary: int, stable: int, p_c: float, p_s: float, excess: float, ratio: float) -> float:
    return math.fsum(
        binomial(canary, a, p_c)
        * binomial(stable, b, p_s)
        * math.exp(log_relative(Block(canary, a, stable, b), excess, ratio))
        for a, b in itertools.product(range(canary + 1), range(stable + 1))
    )


@pytest.mark.parametrize(
    ("canary", "stable", "p_c", "p_s", "excess", "ratio", "value"),
    [
        (3, 12, 0.01, 0.01, 5, 1, 0.99941277),
        (3, 12, 0.3, 0.3, 5, 1, 0.64734359),
        (3, 12, 0.9, 0.9, 5, 1, 0.03825913),
        (1, 20, 0.05, 0.05, 100, 1, 0.78590564),
        (3, 12, 0.03, 0.02, 3, 1.5, 0.99852691),
        (3, 12, 0.03, 0.02, 0.5, 1.5, 0.99969897),
        (3, 12, 0.6, 0.4, 0.5, 1.5, 0.87051739),
    ],
)
def test_the_mean_over_all_outcomes_is_what_was_computed_elsewhere(
    canary: int, stable: int, p_c: float, p_s: float, excess: float, ratio: float, value: float
) -> None:
    assert expected(canary, stable, p_c, p_s, excess, ratio) == pytest.approx(value, abs=1e-8)


def test_given_the_errors_and_who_made_them_by_chance_the_mean_is_below_one_too() -> None:
    canary, stable, errors = 3, 12, 4
    mean = math.fsum(
        math.comb(canary, a)
        * math.comb(stable, errors - a)
        / math.comb(canary + stable, errors)
        * math.exp(log_relative(Block(canary, a, stable, errors - a), 5, 1))
        for a in range(canary + 1)
    )
    assert mean == pytest.approx(0.71497242, abs=1e-8)


rates = st.floats(0.001, 0.999)


@given(st.integers(1, 4), st.integers(1, 6), rates, st.floats(1, 2), st.sampled_from(HIGHER), st.floats(0, 1))
def test_no_harm_within_the_tolerance_is_worth_no_evidence_on_average(
    canary: int, stable: int, p_s: float, ratio: float, excess: float, part: float
) -> None:
    p_c = min(ratio * p_s, 1.0) * part
    assert expected(canary, stable, p_c, p_s, excess, ratio) <= 1 + 1e-9


@given(st.integers(1, 4), st.integers(1, 6), rates, st.floats(1, 2), st.sampled_from(LOWER), st.floats(0, 1))
def test_a_canary_at_least_as_bad_as_the_bound_is_not_proven_better_on_average(
    canary: int, stable: int, bound: float, ratio: float, excess: float, more: float
) -> None:
    p_c = bound + more * (1 - bound)
    assert expected(canary, stable, p_c, bound / ratio, excess, ratio) <= 1 + 1e-9


@given(st.integers(1, 30), st.floats(0, 1), st.sampled_from((2.0, 8.0, 64.0)))
def test_rates_below_the_floor_are_worth_no_evidence_on_average(units: int, part: float, multiple: float) -> None:
    floor = 0.01
    mean = math.fsum(
        binomial(units, k, floor * part) * math.exp(log_floor(units, k, multiple, floor)) for k in range(units + 1)
    )
    assert mean <= 1 + 1e-9


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(2, 5),
    st.sampled_from(HIGHER),
)
def test_a_block_may_be_split_where_the_share_stays(c: int, s: int, a: int, b: int, times: int, excess: float) -> None:
    whole = log_relative(Block(c * times, a * times, s * times, b * times), excess, 1.1)
    parts = times * log_relative(Block(c, a, s, b), excess, 1.1)
    assert math.isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-9)


def test_without_errors_there_is_no_evidence_of_harm_and_soon_some_of_health() -> None:
    worse, sound = HigherRate(1.1, 0.001), NotHigherRate(1.5, 0.005)
    for _ in range(40):
        worse.bet(Block(50, 0, 950, 0))
        sound.bet(Block(50, 0, 950, 0))
    assert worse.relative.value == 1
    assert worse.value < 1
    assert sound.value > 20


def test_an_outage_of_both_blames_no_one() -> None:
    worse = HigherRate(1.1, 0.001)
    for _ in range(60):
        worse.bet(Block(5, 3, 95, 57))
    assert worse.value < 1


def test_a_tripled_rate_below_the_floor_is_no_harm() -> None:
    worse = HigherRate(1.1, 0.001)
    for _ in range(200):
        worse.bet(Block(100_000, 30, 100_000, 10))
    assert worse.relative.value > 1e6
    assert worse.value < 1


def test_a_dead_canary_is_found_in_a_handful_of_requests() -> None:
    worse = HigherRate(1.1, 0.001)
    requests = 0
    while worse.value < 100:
        worse.bet(Block(1, 1, 19, 0))
        requests += 1
    assert requests <= 4


def test_a_rate_that_falls_is_shown_lower() -> None:
    lower = LowerRate(1.1)
    for _ in range(100):
        lower.bet(Block(50, 0, 50, 2))
    assert lower.value > 1e3


def test_a_unit_seen_before_is_not_counted_twice_against_the_floor() -> None:
    often, once = HigherRate(1.1, 0.001), HigherRate(1.1, 0.001)
    for number in range(50):
        often.bet(Block(20, 0, 100, 0), fresh=20 if not number else 0)
    once.bet(Block(20, 0, 100, 0))
    assert often.floor is not None
    assert once.floor is not None
    assert often.floor.value == pytest.approx(once.floor.value, rel=0.02)


def test_without_a_floor_the_ratio_decides() -> None:
    worse = HigherRate(1.0, 0.0)
    for _ in range(20):
        worse.bet(Block(100_000, 30, 100_000, 10))
    assert worse.value == worse.relative.value > 100


def test_blocks_add_up_and_are_whole_with_both_versions() -> None:
    assert (NOTHING + Block(1, 0, 0, 0)).whole is False
    assert (Block(1, 0, 0, 0) + Block(0, 0, 3, 1)) == Block(1, 0, 3, 1)
    assert Block(1, 0, 3, 1).whole
