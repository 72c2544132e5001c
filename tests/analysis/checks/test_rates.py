"""Rates as a check: what it shows, and what it asks for."""

import re

from canaryproxy.analysis.checks.rates import RateCheck
from canaryproxy.analysis.spec import ErrorSpec
from canaryproxy.analysis.stats.rate_tests import Block


def errors() -> RateCheck:
    return RateCheck("errors", "failed", ErrorSpec(), 100.0)


def test_it_says_what_was_measured_against_what_on_how_many_requests() -> None:
    check = errors()
    assert check.finding().sentence == "no request of the canary was judged yet"
    check.bet(Block(640, 13, 12_160, 11), 1)
    found = check.finding()
    assert found.sentence.startswith(
        "canary failed 13 of 640 requests, stable 11 of 12,160; 22.5 times the rate (95 % interval 6.14 to 87.7), evidence"
    )
    assert (found.verdict, found.comparison) == ("fail", "worse")


def test_it_tells_how_much_is_missing_for_a_proof() -> None:
    check = errors()
    for second in range(10):
        check.bet(Block(50, 0, 950, 0), second)
    found = check.finding()
    assert found.verdict == "pass"
    assert found.missing.startswith("to prove it no worse it needs about ")
    check.pace = 2.0
    assert re.fullmatch(r"to prove .* about [\d,]+ more canary requests, about [\d.]+ (s|min)", check.finding().missing)
    for second in range(100):
        check.bet(Block(50, 0, 950, 0), second)
    assert check.finding().missing == ""
    assert check.proof > 20


def test_it_does_not_promise_a_proof_that_recedes() -> None:
    check = errors()
    check.bet(Block(100, 2, 1000, 10), 1)
    assert check.finding().missing == ""


def test_users_may_fail_after_they_were_counted() -> None:
    check = errors()
    check.seen(Block(1, 2, 10, 0))
    assert check.finding().interval is not None
    check.step()
    assert check.finding().samples.canary == 1
