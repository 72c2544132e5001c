"""Exponential buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.telemetry.record.histogram import merge, middle, quantile
from canaryproxy.telemetry.record.logarithm import MAX_SECONDS, MIN_SECONDS, bucket_of

TIMES = st.floats(MIN_SECONDS, MAX_SECONDS, exclude_min=True)
COUNTS = st.dictionaries(st.integers(-600, 500), st.integers(1, 1000), max_size=20)


@given(COUNTS, COUNTS)
def test_merging_adds(first: dict[int, int], second: dict[int, int]) -> None:
    merged = merge(first, second)
    assert sum(merged.values()) == sum(first.values()) + sum(second.values())


@given(TIMES)
def test_the_middle_of_a_bucket_is_within_1_1_percent_of_its_times(seconds: float) -> None:
    assert middle(bucket_of(seconds)) == pytest.approx(seconds, rel=0.011)


@given(st.lists(TIMES, min_size=1, max_size=60), st.integers(0, 1000))
def test_a_quantile_is_within_1_1_percent_of_a_counted_time(times: list[float], thousandths: int) -> None:
    counts = merge(*({bucket_of(time): 1} for time in times))
    found = quantile(counts, thousandths / 1000)
    exact = sorted(times)[max(-(-thousandths * len(times) // 1000), 1) - 1]
    assert found is not None
    assert abs(found - exact) / exact < 0.011


def test_a_rank_that_is_whole_stays_so() -> None:
    counts = dict.fromkeys(range(100), 1)
    for percent in range(1, 101):
        assert quantile(counts, percent / 100) == middle(percent - 1)


def test_nothing_counted_has_no_quantile_and_two_is_none() -> None:
    assert quantile({}, 0.5) is None
    with pytest.raises(ValueError, match="2 is not a quantile"):
        quantile({1: 1}, 2)
