"""CPU and memory per request, block by block."""

import math
import random

import pytest

from canaryproxy.analysis.stats.paired_blocks import MIN_BLOCKS, PerRequest


def after(ratio: float, blocks: int, noise: float = 0.05, seed: int = 1) -> PerRequest:
    rng = random.Random(seed)
    found = PerRequest(1.1)
    for _ in range(blocks):
        found.block(ratio * math.exp(rng.gauss(0, noise)), 1.0)
    return found


def test_half_as_much_again_is_found_in_few_blocks() -> None:
    assert after(1.5, 8).more > math.log(100)
    assert after(1.5, 8).less == 0


def test_less_is_found_as_well() -> None:
    assert after(0.7, 8).less > math.log(100)


def test_what_is_tolerated_is_no_evidence() -> None:
    assert after(1.05, 50).more == 0
    assert after(1.0, 50).more == after(1.0, 50).less == 0


def test_few_blocks_say_nothing() -> None:
    found = after(3, MIN_BLOCKS - 1)
    assert found.more == 0
    assert found.interval(0.05) is None
    assert PerRequest(1.1).ratio is None


def test_the_interval_holds_the_ratio_and_narrows() -> None:
    narrow, wide = after(1.2, 40).interval(0.05), after(1.2, 10).interval(0.05)
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < 1.2 < narrow[1] < wide[1]
    assert after(1.2, 40).ratio == pytest.approx(1.2, rel=0.05)


def test_readings_that_are_all_the_same_are_not_infinitely_certain() -> None:
    found = PerRequest(1.1)
    for _ in range(MIN_BLOCKS):
        found.block(1.2, 1.0)
    assert math.isfinite(found.more)
    assert found.interval(1e-9) is None


def test_without_a_difference_an_alarm_is_rare_over_fifty_blocks() -> None:
    alarms = sum(
        any(found.more > math.log(20) for found in [after(1.1, blocks, 0.1, seed) for blocks in range(5, 50, 5)])
        for seed in range(200)
    )
    assert alarms <= 10
