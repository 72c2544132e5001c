"""The hard limit."""

from canaryproxy.analysis.checks.hard_limit import HardLimitCheck
from canaryproxy.analysis.rates import Block
from canaryproxy.analysis.spec import HardLimit


def test_the_last_requests_decide_as_soon_as_there_are_enough() -> None:
    check = HardLimitCheck(HardLimit())
    check.count(Block(500, 0, 5000, 0))
    for _ in range(4):
        check.look()
        check.count(Block(5, 5, 95, 0))
        if _ < 3:
            assert not check.failed
    assert check.failed
    assert check.finding().sentence == (
        "canary failed 20 of its last 20 requests (limit 50 % of at least 20), stable 0 of 380"
    )
    assert "HardLimitCheck" in repr(check)


def test_few_requests_and_an_ill_stable_are_no_reason() -> None:
    check = HardLimitCheck(HardLimit())
    check.count(Block(19, 19, 0, 0))
    assert not check.failed
    assert check.finding().verdict == "pass"
    both = HardLimitCheck(HardLimit())
    both.count(Block(0, 0, 100, 40))
    both.count(Block(100, 70, 0, 0))
    assert not both.failed
