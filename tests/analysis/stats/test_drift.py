"""Stable beside its own past."""

import math
import random

from canaryproxy.analysis.stats.drift import LOOKS, MIN_UPDATES, Drift


def poisson(rng: random.Random, mean: float) -> int:
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def looks_until_alarmed(before: float, after: float, seed: int = 1) -> int:
    rng = random.Random(seed)
    drift = Drift()
    for _ in range(1000):
        drift.look(poisson(rng, before))
        assert not drift.alarmed
    looks = 0
    while not drift.alarmed:
        drift.look(poisson(rng, after))
        looks += 1
    return looks


def test_ten_times_the_errors_are_noticed_in_seconds_and_twice_in_a_minute_or_two() -> None:
    assert looks_until_alarmed(1, 10) <= 5
    assert looks_until_alarmed(1, 3) <= 40
    assert looks_until_alarmed(1, 2) <= 200


def test_steady_errors_raise_no_alarm_in_ten_thousand_looks() -> None:
    for mean in (0.01, 1.0, 30.0):
        rng = random.Random(2)
        drift = Drift()
        for _ in range(10_000):
            drift.look(poisson(rng, mean))
            assert not drift.alarmed


def test_the_alarm_ends_when_stable_recovers() -> None:
    drift = Drift()
    for _ in range(LOOKS):
        drift.look(1)
    for _ in range(10):
        drift.look(20)
    assert drift.alarmed
    assert drift.mean == 1
    looks = 0
    while drift.alarmed:
        drift.look(0)
        looks += 1
    assert looks < 60


def test_what_lasts_becomes_normal() -> None:
    drift = Drift()
    for _ in range(MIN_UPDATES):
        drift.look(1)
    for _ in range(2 * LOOKS + MIN_UPDATES):
        drift.look(5)
    assert not drift.alarmed
    assert drift.mean == 5
