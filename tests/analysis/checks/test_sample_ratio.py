"""The share that was given beside the one that was asked for."""

import random

from canaryproxy.analysis.checks.sample_ratio import ALARM, SampleRatioCheck


def test_it_warns_and_never_fails() -> None:
    check = SampleRatioCheck("user")
    assert check.finding().verdict == "inconclusive"
    check.draw(0, 0, 500)
    check.draw(50, 950, 500)
    assert check.finding().sentence == "50 of 1,000 users went to the canary, 50 expected"
    check.draw(200, 800, 500)
    found = check.finding()
    assert check.alarmed
    assert (found.verdict, found.action) == ("inconclusive", "hold")
    assert found.sentence.endswith("the split is not what was asked for, so the versions' users differ")


def test_a_share_that_is_kept_raises_no_alarm_at_any_of_ten_thousand_looks() -> None:
    rng = random.Random(11)
    found = SampleRatioCheck("request")
    for look in range(10_000):
        weight = 100 if look < 5_000 else 2000
        canary = sum(rng.random() < weight / 10_000 for _ in range(20))
        found.draw(canary, 20 - canary, weight)
        assert found.value < ALARM


def test_a_tenth_more_than_was_asked_for_is_noticed() -> None:
    found = SampleRatioCheck("request")
    looks = 0
    while found.value < ALARM:
        found.draw(6, 94, 500)
        looks += 1
    assert 10 < looks < 150


def test_weights_at_the_ends_and_nothing_at_all_tell_nothing() -> None:
    found = SampleRatioCheck("request")
    found.draw(0, 0, 500)
    found.draw(0, 100, 0)
    found.draw(100, 0, 10_000)
    assert abs(found.value - 1) < 1e-9
