"""The judge on a slice of stable: quiet, or the evidence is worth less."""

import random

import pytest

from canaryproxy.analysis.placebo import Placebo, PlaceboSlice
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.telemetry.read.users import NewUsers


def placebo(seed: int = 1) -> Placebo:
    return Placebo(1.1, 0.001, 100.0, random.Random(seed).random)


def test_a_random_slice_is_no_worse_than_the_rest() -> None:
    for seed in range(20):
        found, rng = placebo(seed), random.Random(seed + 99)
        for _ in range(300):
            failed = sum(rng.random() < 0.02 for _ in range(95))
            found.bet(Block(5, 0, 95, failed), 500)
        assert found.factor == 1


def test_many_requests_are_drawn_by_their_spread_and_failures_without_replacement() -> None:
    found = placebo()
    taken = [found._some(10_000, 0.1) for _ in range(200)]
    assert 950 < sum(taken) / 200 < 1050
    assert max(taken) - min(taken) > 50
    assert found._some_of(5, 10, 10) == 5
    assert found._some_of(5, 0, 10) == 0


def test_what_it_finds_divides_the_evidence() -> None:
    found = placebo()
    for _ in range(5):
        found.bet_on(Block(1, 1, 20, 0))
    assert found.factor > 1
    assert found.value < 100
    found.bet_on(Block(0, 0, 5, 0))


def test_a_slice_of_users_is_taken_by_their_hash_and_fails_like_the_rest() -> None:
    rng = random.Random(5)
    found = PlaceboSlice(2000)
    users = [rng.getrandbits(64) for _ in range(10_000)]
    found.users_seen(NewUsers("shop", "stable", tuple(users), tuple(users[:1000])))
    block, new = found.block()
    assert 1850 < block.canary < 2150
    assert 150 < block.canary_failed < 250
    assert (block.canary + block.stable, block.canary_failed + block.stable_failed) == (10_000, 1000)
    again, none = found.block()
    assert (new, none) == (block.canary, 0)
    assert (again.canary_failed, again.canary) == (0, block.canary - block.canary_failed)


def test_a_slice_is_no_other_one_among_users_of_low_hashes() -> None:
    found = PlaceboSlice(500)
    rng = random.Random(6)
    low = tuple(rng.getrandbits(58) for _ in range(16_000))
    found.users_seen(NewUsers("shop", "stable", low, ()))
    assert found.block()[1] == pytest.approx(800, rel=0.15)
