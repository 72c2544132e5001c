"""The tests of others that we compare with are what their names say: figures computed twice by different routes."""

import math

import pytest

from bench.judge import others


def test_the_beta_binomial_agrees_with_numerical_integration() -> None:
    assert others.beta_binomial(6, 20, 0.05, 10) == pytest.approx(3.741494702, rel=1e-9)


def test_tests_for_one_look_agree_with_sums_over_all_tables() -> None:
    table = (5, 500), (10, 9500)
    assert others.fisher_p(*table) == pytest.approx(0.0006054467941, rel=1e-9)
    assert others.conditional_p(5, 15, 0.05) == pytest.approx(0.0006146828697, rel=1e-9)
    assert others.z_p(*table) == pytest.approx(2.342960046e-07, rel=1e-9)
    assert others.barnard_p(*table) == pytest.approx(0.000933132256, abs=1e-9)


def test_the_chi_square_of_the_sample_ratio_has_its_published_p() -> None:
    assert others.chi2_ratio_p(620, 10_000, 0.05) == pytest.approx(3.671251852e-08, rel=1e-9)
    assert others.chi2_ratio_p(600, 1000, 0.5) == pytest.approx(2.539628589e-10, rel=1e-9)


def test_mann_whitney_counts_all_splits() -> None:
    a, b = [1.1, 2.2, 3.3, 4.4, 5.5, 6.6], [0.9, 1.8, 2.1, 2.9, 3.1, 4.2, 4.3]
    assert others.mann_whitney_p(a, b) == pytest.approx(0.1171328671, rel=1e-9)


def test_group_sequential_constants_agree_with_the_published_tables() -> None:
    # Simpson's rule with 121, 241 and 481 points agrees to 1e-8; tables print 2.040 and 2.413.
    assert others.group_sequential(5, 0.05, obrien_fleming=True) == pytest.approx(2.04007318, abs=1e-7)
    assert others.group_sequential(5, 0.05, obrien_fleming=False) == pytest.approx(2.41317623, abs=1e-7)
    assert others.group_sequential(1, 0.05, obrien_fleming=True) == pytest.approx(1.95996398, abs=1e-7)


def test_planning_figures_are_log_of_the_limit_by_drift() -> None:
    def needed(stable: float, canary: float, weight: float) -> float:
        ratio = canary / stable
        drift = canary * math.log(ratio) - (canary + stable * (1 - weight) / weight) * math.log1p(weight * (ratio - 1))
        return math.log(100) / drift

    assert needed(0.001, 0.01, 0.05) == pytest.approx(375.9166774, rel=1e-9)
    assert needed(0.001, 0.003, 0.05) == pytest.approx(3840.801168, rel=1e-9)
    assert needed(0.01, 0.02, 0.05) == pytest.approx(1273.198384, rel=1e-9)
    assert needed(0.05, 1, 0.05) == pytest.approx(2.71937725, rel=1e-9)
