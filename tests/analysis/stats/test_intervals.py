"""Intervals that hold whenever one looks."""

import math
import random

import pytest

from canaryproxy.analysis.stats import intervals
from canaryproxy.telemetry.record.logarithm import bucket_of


def test_nothing_seen_is_anything_possible() -> None:
    assert intervals.rate(0, 0) == (0.0, 1.0)
    assert intervals.mean_ratio({}, {}) is None


@pytest.mark.parametrize(("hits", "count"), [(0, 100), (100, 100), (3, 10), (1, 1), (5000, 100_000)])
def test_the_interval_holds_what_was_seen(hits: int, count: int) -> None:
    low, high = intervals.rate(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    assert (low == 0) == (hits == 0)
    assert (high == 1) == (hits == count)


def test_a_rate_stays_in_its_interval_at_all_looks_in_nearly_all_runs() -> None:
    missed = 0
    for seed in range(100):
        rng = random.Random(seed)
        hits = 0
        for count in range(1, 1001):
            hits += rng.random() < 0.05
            if count % 100 == 0:
                low, high = intervals.rate(hits, count)
                if not low <= 0.05 <= high:
                    missed += 1
                    break
    assert missed <= 6


def test_the_ratio_of_rates_has_no_upper_limit_while_stable_never_failed() -> None:
    low, high = intervals.ratio((50, 1000), (0, 1000))
    assert low > 1
    assert high is None
    assert intervals.ratio((13, 640), (11, 12_160))[0] > 5
    assert intervals.ratio((0, 0), (0, 0)) == (0.0, None)
    assert intervals.rate(0, 1) == (0.0, 1.0)
    low, high = intervals.ratio((130, 1000), (500, 10_000))
    assert low > 1
    assert high is not None
    assert low < 2.6 < high


def sample(rng: random.Random, count: int, times: float = 1.0) -> dict[int, int]:
    found: dict[int, int] = {}
    for _ in range(count):
        one = bucket_of(times * 0.02 * math.exp(0.6 * rng.gauss(0, 1)))
        found[one] = found.get(one, 0) + 1
    return found


def test_the_ratio_of_means_lies_in_its_interval() -> None:
    found = intervals.mean_ratio(sample(random.Random(1), 2000, 0.7), sample(random.Random(2), 20_000))
    assert found is not None
    ratio, low, high = found
    assert low < 0.7 < high < 1
    assert ratio == pytest.approx(0.7, rel=0.1)
    assert intervals.mean_ratio({3: 30}, {3: 30}) is not None
