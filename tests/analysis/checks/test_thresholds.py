"""Fixed bounds."""

from canaryproxy.analysis.checks.thresholds import ThresholdCheck
from canaryproxy.analysis.spec import FixedLimits


def test_bounds_are_broken_above_below_and_beside_stable() -> None:
    assert FixedLimits(max=1.0).broken(1.5, None) == "above 1"
    assert FixedLimits(min=1.0).broken(0.5, None) == "below 1"
    assert FixedLimits(times=2.0).broken(5.0, 2.0) == "above 2 times stable's 2"
    assert FixedLimits(times=2.0).broken(5.0, None) == ""
    assert FixedLimits(max=1.0, min=0.0, times=2.0).broken(1.0, 1.0) == ""


def test_only_bad_looks_in_a_row_count_and_unknown_ones_neither_add_nor_forgive() -> None:
    check = ThresholdCheck("check:load", FixedLimits(max=1.0), 3)
    for value in (2.0, 2.0, 0.5, 2.0, 2.0):
        check.read(value, 1.0)
    assert check.finding().sentence == "check:load is 2, above 1, 2 of 3 times in a row"
    assert check.finding().verdict == "inconclusive"
    check.unread("timed out")
    assert check.finding().sentence == "check:load is unknown: timed out"
    check.read(2.0, 1.0)
    assert check.failed
    assert check.finding().verdict == "fail"
    check.step()
    assert not check.failed
    check.read(0.5, 1.0)
    assert check.finding().sentence == "check:load is 0.5, within its bounds"
