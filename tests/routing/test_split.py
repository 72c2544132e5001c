"""The split: exact over a cycle, near in a block, unpredictable in between."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.split import PLACES_PER_STRATUM, STRATA, BlockSplit, Splits

CYCLE = STRATA * PLACES_PER_STRATUM


def draws(count: int, seed: int = 1) -> list[int]:
    split = BlockSplit(random.Random(seed).random)
    return [split.draw() for _ in range(count)]


def test_a_cycle_yields_every_bucket_once() -> None:
    buckets = draws(3 * CYCLE)
    for begin in range(0, 3 * CYCLE, CYCLE):
        assert sorted(buckets[begin : begin + CYCLE]) == list(range(CYCLE))


@given(st.integers(0, CYCLE), st.integers(0, 2**32))
def test_a_block_of_100_is_within_one_of_the_weight(weight: int, seed: int) -> None:
    buckets = draws(1_000, seed)
    for begin in range(0, 1_000, STRATA):
        canary = sum(bucket < weight for bucket in buckets[begin : begin + STRATA])
        assert weight // STRATA <= canary <= -(-weight // STRATA)


@given(st.integers(0, CYCLE), st.integers(0, 2**32), st.integers(0, 900))
def test_any_100_in_a_row_are_within_the_stated_bound(weight: int, seed: int, begin: int) -> None:
    canary = sum(bucket < weight for bucket in draws(1_000, seed)[begin : begin + STRATA])
    whole, rest = divmod(weight, STRATA)
    assert 2 * whole - STRATA <= canary <= 2 * (whole + 1 if rest else whole)


@pytest.mark.parametrize("weight", [1, 25, 100, 1_234, 9_999])
def test_raising_the_weight_only_moves_requests_to_canary(weight: int) -> None:
    buckets = draws(CYCLE)
    lower = {index for index, bucket in enumerate(buckets) if bucket < weight}
    higher = {index for index, bucket in enumerate(buckets) if bucket < weight + 1}
    assert lower < higher
    assert len(higher) == weight + 1


@pytest.mark.parametrize("period", [2, 7, 10, 50, 100, 128, 1000])
def test_a_client_with_a_rhythm_gets_the_share_like_anybody(period: int) -> None:
    """Share of a periodic client at 10 %: within four standard deviations of independent draws."""
    mine = draws(2_000 * period if period < 100 else 200_000, seed=period)[::period]
    canary = sum(bucket < 1_000 for bucket in mine)
    expected = len(mine) * 0.1
    assert abs(canary - expected) < 4 * (len(mine) * 0.09) ** 0.5


def test_the_order_differs_from_block_to_block_and_seed_to_seed() -> None:
    buckets = draws(2 * STRATA)
    strata = [bucket // PLACES_PER_STRATUM for bucket in buckets]
    assert strata[:STRATA] != strata[STRATA:]
    assert draws(50, 1) != draws(50, 2)


def test_first_draws_are_uniform_over_the_buckets() -> None:
    first = Counter(draws(1, seed)[0] // 1_000 for seed in range(5_000))
    assert all(abs(count - 500) < 4 * 450**0.5 for count in first.values())


def test_splits_keep_a_sequence_per_key_and_forget_removed_routes() -> None:
    splits = Splits(random.Random(1).random)
    seen = {splits.draw(("a", "weight")) for _ in range(CYCLE)}
    splits.draw(("b", "weight"))
    assert (len(seen), len(splits)) == (CYCLE, 2)
    splits.forget({"b"})
    assert len(splits) == 1
    splits.draw(("b", "weight"))
    assert len(splits) == 1, "it was b that was kept"


@pytest.mark.parametrize("roll", [0.0, 1 - 2**-53])
def test_the_most_extreme_dice_still_yield_every_bucket_once_a_cycle(roll: float) -> None:
    split = BlockSplit(lambda: roll)
    for _ in range(2):
        assert sorted(split.draw() for _ in range(10_000)) == list(range(10_000))
