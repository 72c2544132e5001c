"""Latency by ranks: exact for any distribution, blind to what is tolerated, and not blind to tails."""

import itertools
import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.analysis.stats.rank_tests import (
    LAST,
    LOWEST,
    WEIGHTS,
    Histogram,
    RankTable,
    RankTest,
    Shift,
    StableHistory,
    exceedance,
    faster,
    lehmann,
    no_slower,
    slower,
)


def bucket(seconds: float) -> int:
    return math.ceil(math.log2(seconds) * 16) - 1


def histogram(rng: random.Random, count: int, median: float = 0.02, times: float = 1.0) -> dict[int, int]:
    found: dict[int, int] = {}
    for _ in range(count):
        one = bucket(times * median * math.exp(0.6 * rng.gauss(0, 1)))
        found[one] = found.get(one, 0) + 1
    return found


def mean_evidence(
    probabilities: tuple[float, ...], exponent: float, canary: int, stable: int, table: tuple[float, ...]
) -> float:
    share = canary / (canary + stable)
    ratios = []
    below = 0.0
    for one in table:
        ratios.append(lehmann(below + one / 2, exponent))
        below += one
    mean = 0.0
    for outcome in itertools.product(range(len(probabilities)), repeat=canary + stable):
        chance = math.prod(probabilities[one] for one in outcome)
        log = sum(math.log(ratios[one]) for one in outcome[:canary])
        log -= sum(math.log1p(share * (ratios[one] - 1)) for one in outcome)
        mean += chance * math.exp(log)
    return mean


def test_the_mean_over_all_outcomes_is_what_was_computed_elsewhere() -> None:
    believed = (0.5, 0.3, 0.15, 0.05)
    assert mean_evidence(believed, 0.45, 2, 4, believed) == pytest.approx(0.96550363, abs=1e-8)
    assert mean_evidence((0.1, 0.1, 0.3, 0.5), 0.45, 2, 4, believed) == pytest.approx(0.74225474, abs=1e-8)


@given(
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    st.sampled_from((0.9, 0.45, 0.25, 4.0)),
)
def test_whatever_the_true_distribution_is_it_is_worth_no_evidence_on_average(
    truth: list[float], table: list[float], exponent: float
) -> None:
    chances = tuple(one / sum(truth) for one in truth)
    believed = tuple(one / sum(table) for one in table)
    assert mean_evidence(chances, exponent, 2, 3, believed) <= 1 + 1e-9


def test_the_table_bets_as_the_formulas_say() -> None:
    past = {0: 30, 1: 30, 2: 25, 3: 10, 4: 4, 5: 1}
    canary, stable = {0: 1, 1: 1, 2: 2, 3: 3, 4: 2, 5: 1}, {0: 28, 1: 31, 2: 24, 3: 11, 4: 4, 5: 2}
    logs = RankTable(past, slower=True).logs(canary, stable)
    for log, expected in zip(logs, (1.042434462, 1.945967632, 3.002577579, 3.792945246, 3.683200426), strict=False):
        assert log == pytest.approx(expected, abs=1e-9)
    threshold, share = RankTable(past, slower=True).tail(0.95)
    assert (threshold, share) == (4, 0.05)
    beyond, before = exceedance(share, 1.3)
    in_tail = 10 / 110
    expected = 3 * math.log(beyond) + 7 * math.log(before)
    expected -= 9 * math.log1p(in_tail * (beyond - 1)) + 101 * math.log1p(in_tail * (before - 1))
    assert logs[5] == pytest.approx(expected, abs=1e-9)
    assert len(logs) == len(WEIGHTS)
    assert math.isclose(sum(WEIGHTS), 1)


def test_exceeding_what_nothing_exceeds_tells_nothing() -> None:
    assert exceedance(0.0, 3) == exceedance(1.0, 3) == (1.0, 1.0)


@pytest.mark.parametrize("moved", [-32, 16, 160])
def test_latencies_of_another_scale_are_judged_alike(moved: int) -> None:
    rng = random.Random(3)
    blocks = [(histogram(rng, 15, times=1.4), histogram(rng, 285)) for _ in range(20)]
    moved_ones = [
        ({one + moved: n for one, n in c.items()}, {one + moved: n for one, n in s.items()}) for c, s in blocks
    ]
    here, there = (bet_on(slower, one, 0) for one in (blocks, moved_ones))
    assert here.value == pytest.approx(there.value, rel=1e-9)
    assert here.value > 10


def test_proportional_histograms_speak_against_a_difference() -> None:
    past = histogram(random.Random(1), 10_000)
    block = {one: count * 10 for one, count in past.items()}
    assert all(log < 0 for log in RankTable(past, slower=True).logs(past, block))


@given(st.integers(-200, 100), st.sampled_from((1, 2, 4)))
def test_a_tolerance_of_whole_buckets_moves_by_whole_buckets(one: int, steps: int) -> None:
    assert Shift(2 ** (steps / 16), 0, up=False).of(one) == one - steps
    assert Shift(2 ** (steps / 16), 0, up=True).of(one) == one - steps


@given(st.integers(-200, 100), st.floats(1, 2), st.floats(0, 0.1))
def test_rounding_never_helps_the_side_that_has_to_show_something(one: int, ratio: float, floor: float) -> None:
    low, high = 2 ** (one / 16), 2 ** ((one + 1) / 16)
    down, up = Shift(ratio, floor, up=False).of(one), Shift(ratio, floor, up=True).of(one)
    assert down <= up
    if down > LOWEST:
        assert 2 ** (down / 16) <= (low / ratio - floor) * (1 + 1e-9)
    if up > LOWEST:
        assert 2 ** ((up + 1) / 16) >= (high / ratio - floor) * (1 - 1e-9)


def test_what_had_no_answer_stays_the_slowest_and_what_is_below_the_floor_the_fastest() -> None:
    shift = Shift(1.1, 0.002, up=False)
    assert shift.of(LAST) == LAST
    assert shift.of(bucket(0.001)) == LOWEST
    assert shift.apply({bucket(0.001): 2, bucket(0.0015): 3, LAST: 1}) == {LOWEST: 5, LAST: 1}


Kind = Callable[[StableHistory, float, float], RankTest]


def bet_on(
    kind: Kind, blocks: Iterable[tuple[Histogram, Histogram]], floor: float = 0.002, by: float = 1.1
) -> RankTest:
    past = StableHistory()
    judge = kind(past, by, floor)
    for canary, stable in blocks:
        judge.bet(canary, stable)
        past.add(stable)
    return judge


def run(kind: Kind, times: float, blocks: int = 60, *, by: float = 1.1, floor: float = 0.002) -> float:
    rng = random.Random(5)
    pairs = ((histogram(rng, 15, times=times), histogram(rng, 285)) for _ in range(blocks))
    return bet_on(kind, pairs, floor, by).value


def test_a_canary_half_as_slow_again_is_found_and_an_equal_one_is_not() -> None:
    assert run(slower, 1.5, by=1.1, floor=0.002) > 1000
    assert run(slower, 1.0, by=1.1, floor=0.002) < 1
    assert run(slower, 1.1, by=1.1, floor=0.002) < 20


def test_differences_smaller_than_the_floor_are_none() -> None:
    rng = random.Random(7)
    pairs = ((histogram(rng, 15, median=0.000_145), histogram(rng, 285, median=0.000_074)) for _ in range(300))
    assert bet_on(slower, pairs).value < 1


def test_a_canary_that_hangs_is_the_slowest_there_is() -> None:
    rng = random.Random(9)
    pairs = [(histogram(rng, 15), histogram(rng, 285)), ({LAST: 3}, histogram(rng, 57))]
    assert bet_on(slower, pairs).value > 200


def test_a_canary_that_is_no_slower_is_shown_to_be_and_a_slower_one_is_not() -> None:
    assert run(no_slower, 1.0, by=1.19, floor=0.002) > 20
    assert run(no_slower, 1.3, by=1.19, floor=0) < 1


def test_a_faster_canary_is_shown_to_be() -> None:
    assert run(faster, 0.6, 120, by=1.1, floor=0.002) > 20
    assert run(faster, 1.0, 120, by=1.1, floor=0.002) < 1


def test_the_first_hundred_of_stable_are_only_learnt_from() -> None:
    block: tuple[Histogram, Histogram] = ({5: 10}, {0: 99})
    assert bet_on(slower, [block] * 2, 0).value == 1
    assert bet_on(slower, [block] * 3, 0).value > 1


def test_ranks_are_read_again_once_there_is_a_tenth_more() -> None:
    past = StableHistory()
    past.add({0: 99})
    assert past.table(slower=True) is None
    past.add({0: 1})
    table = past.table(slower=True)
    past.add({0: 10})
    assert past.table(slower=True) is table
    assert past.table(slower=False) is not table
    past.add({0: 1})
    assert past.table(slower=True) is not table


def test_the_slowest_in_a_thousand_are_of_those_that_were_answered() -> None:
    past = StableHistory()
    assert past.slowest is None
    past.add({LAST: 5})
    assert past.slowest is None
    past.add({0: 999, 16: 2})
    assert past.slowest == pytest.approx(2, rel=0.05)
