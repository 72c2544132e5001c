"""The share that the canary got, beside the one it was given."""

import random

from canaryproxy.analysis.stats.allocation import ALARM, SampleRatio


def test_a_share_that_is_kept_raises_no_alarm_at_any_of_ten_thousand_looks() -> None:
    rng = random.Random(11)
    found = SampleRatio()
    for look in range(10_000):
        weight = 0.01 if look < 5_000 else 0.2
        found.bet(sum(rng.random() < weight for _ in range(20)), 20, weight)
        assert found.value < ALARM


def test_a_tenth_more_than_was_asked_for_is_noticed() -> None:
    found = SampleRatio()
    looks = 0
    while found.value < ALARM:
        found.bet(6, 100, 0.05)
        looks += 1
    assert 10 < looks < 150


def test_weights_at_the_ends_and_nothing_at_all_tell_nothing() -> None:
    found = SampleRatio()
    found.bet(0, 0, 0.05)
    found.bet(0, 100, 0.0)
    found.bet(100, 100, 1.0)
    assert abs(found.value - 1) < 1e-9
