"""Latency as a check: how long is waited, what is shown."""

from canaryproxy.analysis.checks.latency import LEAST_WAIT, LONGEST_WAIT, LatencyCheck
from canaryproxy.analysis.spec import LatencySpec
from canaryproxy.analysis.stats.rank_tests import LAST, StableHistory

FAST, SLOW = -90, -70


def check() -> LatencyCheck:
    return LatencyCheck(LatencySpec(), 100.0, StableHistory())


def test_it_waits_twice_as_long_as_stable_ever_takes_within_bounds() -> None:
    assert check().wait == LEAST_WAIT
    past = StableHistory()
    slow = LatencyCheck(LatencySpec(), 100.0, past)
    past.add({32: 1000})
    assert 8 <= slow.wait <= 9
    past.add({90: 1000, LAST: 5})
    assert slow.wait == LONGEST_WAIT


def test_it_bets_now_and_then_and_every_look_once_suspicious() -> None:
    found = check()
    for look in range(1, 16):
        found.file(({SLOW: 5}, {FAST: 95}))
        found.look()
        if look < 10:
            assert found.harm == 1
    assert found.harm > 100
    assert found.finding().verdict == "fail"
    assert found.finding().sentence.startswith("95 % of the canary's requests took at most 48.7 ms")


def test_requests_without_an_answer_are_shown_as_a_minute() -> None:
    found = check()
    found.file(({LAST: 5}, {FAST: 95}))
    canary = found.finding().canary
    assert canary is not None
    assert 59 < canary < 61.5
    found.step()
    assert found.finding().sentence == "no latency of both versions was judged yet"


def test_it_tells_how_much_is_missing_for_a_proof() -> None:
    found = check()
    for _ in range(15):
        found.file(({FAST: 4, FAST + 8: 3}, {FAST: 50, FAST + 8: 45}))
        found.look()
    assert found.finding().missing.startswith("to prove it no slower it needs about ") or found.proof >= 20
