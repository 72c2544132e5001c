"""The hard limit."""

import random

from canaryproxy.analysis.checks.hard_limit import HardLimitCheck
from canaryproxy.analysis.spec import HardLimitSpec
from canaryproxy.analysis.stats.rate_tests import Block


def reported(check: HardLimitCheck, *blocks: Block) -> None:
    for block in blocks:
        check.count(block)
    check.reported()


def test_the_last_requests_decide_as_soon_as_there_are_enough() -> None:
    check = HardLimitCheck(HardLimitSpec())
    reported(check, Block(500, 0, 5000, 0))
    for number in range(4):
        assert not check.failed
        reported(check, Block(5, 5, 0, 0), Block(0, 0, 95, 0))
        assert check.failed == (number == 3)
    assert check.finding().sentence == (
        "canary failed 20 of its last 20 requests (limit 50 % of at least 20), stable 0 of 380"
    )


def test_few_requests_and_an_ill_stable_are_no_reason() -> None:
    check = HardLimitCheck(HardLimitSpec())
    reported(check, Block(19, 19, 1000, 0))
    assert not check.failed
    assert check.finding().verdict == "pass"
    both = HardLimitCheck(HardLimitSpec())
    reported(both, Block(100, 70, 100, 40))
    assert not both.failed


def test_without_stable_beside_it_nothing_is_known() -> None:
    check = HardLimitCheck(HardLimitSpec())
    reported(check, Block(100, 100, 0, 0))
    reported(check, Block(100, 100, 30, 0))
    assert not check.failed
    reported(check, Block(100, 100, 30, 0))
    assert check.failed


def test_an_outage_of_both_that_begins_in_the_middle_of_a_second_blames_no_one() -> None:
    rng = random.Random(3)
    for weight in (0.05, 0.5, 0.95):
        check = HardLimitCheck(HardLimitSpec())
        for second in range(60):
            for report in range(10):
                rate = 0.6 if second * 10 + report >= 305 else 0.001
                canary, stable = round(30 * weight), round(30 * (1 - weight))
                failed = [sum(rng.random() < rate for _ in range(count)) for count in (canary, stable)]
                reported(check, Block(canary, failed[0], 0, 0), Block(0, 0, stable, failed[1]))
        assert not check.failed
