"""Whether failures come one by one, or by the bad second of a machine."""

import random

import pytest

from canaryproxy.analysis.stats.dispersion import Dispersion, EndpointSeconds
from canaryproxy.analysis.stats.rate_tests import Block


def watched(stall: bool, seconds: int = 4000, endpoints: int = 4) -> Dispersion:
    rng = random.Random(1)
    found = Dispersion()
    until = [0] * endpoints
    for second in range(seconds):
        failed = {}
        for number in range(endpoints):
            if stall and rng.random() < 3 / 900 / 3:
                until[number] = second + 3
            rate = 0.5 if second < until[number] else 0.01
            failed[f"{number}"] = sum(rng.random() < rate for _ in range(25))
        found.second(second, failed)
    return found


def test_failures_by_chance_are_not_clumped_and_those_of_stalls_are() -> None:
    calm, stalling = watched(stall=False), watched(stall=True)
    assert calm.of_requests == pytest.approx(1, abs=0.15)
    assert not calm.clumped
    assert stalling.clumped
    assert stalling.of_requests > 2
    assert 1 <= stalling.of_seconds < stalling.of_requests


def test_a_short_look_or_few_machines_tell_nothing() -> None:
    assert not watched(stall=True, seconds=3000).clumped
    assert not watched(stall=True, endpoints=2).clumped
    assert Dispersion().of_requests == 1


def test_a_second_of_a_machine_counts_once_however_much_it_failed() -> None:
    seconds, dispersion = EndpointSeconds(), Dispersion()
    seconds.count("stable", "a", 5, 10, 7)
    seconds.count("stable", "b", 5, 10, 0)
    seconds.count("canary", "c", 5, 1, 1)
    seconds.count("canary", "c", 6, 0, 0)
    (fifth, block, placebo), (_, empty, _) = seconds.close(6, dispersion)
    assert (fifth, block.canary_failed, block.stable_failed) == (5, 1, 1)
    assert block.stable / block.canary == pytest.approx(20, rel=0.02)
    assert (placebo.canary_failed, placebo.stable_failed) == (1, 0)
    assert placebo.canary == placebo.stable
    assert empty == Block(0, 0, 0, 0)
