"""Figures computed twice by different routes (closed form, and the one that is named): the formulas are what they
claim.

Natural logarithms; blocks are canary, its failures, stable, its failures.
"""

import math

import pytest

from canaryproxy.analysis.checks.sample_ratio import SampleRatioCheck
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import EDetector, EProcess, even_weights, start_weight
from canaryproxy.analysis.stats.paired_blocks import log_t
from canaryproxy.analysis.stats.rank_tests import lehmann
from canaryproxy.analysis.stats.rate_tests import HIGHER, Block, log_floor, log_relative


def close(value: float, expected: float) -> bool:
    return value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("block", "excess", "ratio", "expected"),
    [
        (Block(50, 2, 950, 1), 5, 1, 2.671911154),
        (Block(50, 2, 950, 1), 5, 1.1, 2.625015917),
        (Block(1, 1, 99, 0), 100, 1, 3.917035547),
        (Block(200, 0, 800, 6), 3, 1, -2.01883342),
        (Block(200, 3, 800, 40), 0.5, 1.5, 4.224507849),
    ],
)
def test_a_block_of_rates_is_the_ratio_of_two_binomials(
    block: Block, excess: float, ratio: float, expected: float
) -> None:
    assert close(log_relative(block, excess, ratio), expected)


def test_the_floor_is_the_ratio_of_two_coins() -> None:
    assert close(log_floor(500, 5, 8, 0.001), 6.916530383)
    assert close(log_floor(1000, 1, 0.25, 0.005), 2.371703801)


BLOCKS = [Block(50, 1, 950, 0), Block(48, 2, 957, 1), Block(53, 3, 940, 1)]


def test_the_mixture_is_the_sum_over_starting_looks() -> None:
    found = EDetector(even_weights(8))
    values = []
    for block in BLOCKS:
        found.bet([log_relative(block, one, 1) for one in HIGHER])
        values.append(found.value)
    for value, expected in zip(values, (3.471613464, 127.7096595, 71703.39265), strict=True):
        assert value == pytest.approx(expected, rel=1e-9)


def test_without_restarts_it_is_the_product_of_the_blocks() -> None:
    found = EProcess(even_weights(8))
    for block in BLOCKS:
        found.bet([log_relative(block, one, 1) for one in HIGHER])
    assert found.value == pytest.approx(143362.991, rel=1e-8)  # the vector has nine digits


@pytest.mark.parametrize(
    ("look", "expected"),
    [(1, 0.5001388118), (2, 0.0001387346964), (60, 0.0001343724805), (3600, 3.472222222e-05)],
)
def test_wealth_is_spread_over_the_looks(look: int, expected: float) -> None:
    assert start_weight(look) == pytest.approx(expected, rel=1e-9)


SHARES = [0, 0.3, 0.6, 0.85, 0.95, 0.99, 1]
CANARY = [1, 1, 2, 3, 2, 1]
STABLE = [28, 31, 24, 11, 4, 2]


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(0.9, 1.042434462), (0.8, 1.945967632), (0.65, 3.002577579), (0.45, 3.792945246), (0.25, 3.683200426)],
)
def test_a_block_of_latencies_is_the_ratio_to_the_mixed_density(exponent: float, expected: float) -> None:
    share = sum(CANARY) / (sum(CANARY) + sum(STABLE))
    log = 0.0
    for low, high, canary, stable in zip(SHARES, SHARES[1:], CANARY, STABLE, strict=False):
        ratio = lehmann((low + high) / 2, exponent)
        log += canary * math.log(ratio) - (canary + stable) * math.log1p(share * (ratio - 1))
    assert close(log, expected)


def test_normal_mixtures_agree_with_howards() -> None:
    rho = 9.998473726
    assert close(intervals.best_variance(100, 0.02), rho)  # one-sided at 0.01
    assert close(intervals.normal_mixture(20, 50, rho), 3.125698705)
    assert close(intervals.normal_mixture(-5, 50, rho), -1.344227691)
    assert close(intervals.normal_mixture(12, 30, 10), 1.770684689)
    assert close(intervals.two_sided(100, intervals.best_variance(100, 0.05), 0.05), 30.3520899)


@pytest.mark.parametrize(
    ("count", "t", "expected"), [(10, 3, 1.831731381), (20, 4.5, 5.237803594), (30, -1, -1.22514626)]
)
def test_the_t_test_is_the_noncentral_t_over_the_prior(count: int, t: float, expected: float) -> None:
    assert close(log_t(count, t), expected)


@pytest.mark.parametrize(("canary", "expected"), [(620, 137144.6424), (510, 0.155008888)])
def test_the_sample_ratio_is_the_binomial_likelihood_ratio(canary: int, expected: float) -> None:
    found = SampleRatioCheck("request")
    found.draw(canary, 10_000 - canary, 500)
    assert found.value == pytest.approx(expected, rel=1e-9)


def test_the_interval_of_a_rate_agrees_with_howards() -> None:
    low, high = intervals.rate(10, 1000)
    assert close(low, 0.0029169944)
    assert close(high, 0.0223708205)
