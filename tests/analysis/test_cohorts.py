"""Requests that began together are compared with each other."""

from canaryproxy.analysis.cohorts import MAX_COHORT_SECONDS, Cohorts
from canaryproxy.analysis.stats.rank_tests import LAST
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.report import CounterDelta, OpenRequests
from tests.support.traffic import key


def cell(version: str, second: int, latency: dict[int, int] | None = None) -> CounterDelta:
    return CounterDelta(key(version), second, latency=latency or {})


def test_a_block_has_both_versions_and_what_began_in_one_second() -> None:
    cohorts = Cohorts()
    cohorts.count(cell("stable", 5), 10, 1, timed=True)
    assert list(cohorts.blocks()) == []
    cohorts.count(cell("canary", 6), 2, 0, timed=True)
    assert list(cohorts.blocks()) == []
    cohorts.count(cell("canary", 5), 1, 1, timed=True)
    cohorts.count(cell("stable", 6), 20, 0, timed=True)
    assert list(cohorts.blocks()) == [Block(1, 1, 10, 1), Block(2, 0, 20, 0)]
    assert list(cohorts.blocks()) == []


def test_what_no_canary_request_began_beside_waits_for_the_next_one() -> None:
    cohorts = Cohorts()
    cohorts.count(cell("stable", 5), 10, 1, timed=True)
    list(cohorts.close(5, [], timed=True))
    cohorts.count(cell("canary", 8), 1, 0, timed=True)
    assert list(cohorts.blocks()) == [Block(1, 0, 10, 1)]


def test_latencies_are_reported_when_the_cohort_is_closed_in_coarser_buckets() -> None:
    cohorts = Cohorts()
    cohorts.count(cell("stable", 5, {-100: 2, -99: 1}), 3, 0, timed=True)
    cohorts.count(cell("canary", 5, {-100: 1}), 1, 0, timed=False)
    ((block, (canary, stable), vain),) = cohorts.close(5, [], timed=True)
    assert (block, canary, stable, vain) == (Block(1, 0, 3, 0), {}, {-50: 3}, NOTHING)


def test_who_waits_too_long_failed_and_was_the_slowest_and_counts_no_second_time() -> None:
    cohorts = Cohorts()
    cohorts.count(cell("stable", 5), 3, 0, timed=True)
    waiting = [OpenRequests(key("canary"), 5, 2), OpenRequests(key("stable"), 5, 1), OpenRequests(key("canary"), 9, 4)]
    ((block, (canary, stable), vain),) = cohorts.close(6, waiting, timed=True)
    assert block == Block(2, 2, 4, 1)
    assert (canary, stable, vain) == ({LAST: 2}, {LAST: 1}, Block(2, 2, 1, 1))
    cohorts.count(cell("canary", 5, {10: 3}), 3, 3, timed=True)
    cohorts.count(cell("stable", 7), 1, 0, timed=True)
    assert list(cohorts.blocks()) == [Block(1, 1, 1, 0)]
    list(cohorts.close(MAX_COHORT_SECONDS + 10, [], timed=True))
    assert cohorts.count(cell("stable", 5), 1, 0, timed=True) == Block(0, 0, 1, 0), "it is forgotten that it hung"


def test_a_canary_that_is_still_cold_has_no_slowest() -> None:
    cohorts = Cohorts()
    ((_, (canary, _), vain),) = cohorts.close(6, [OpenRequests(key("canary"), 5, 2)], timed=False)
    assert (canary, vain) == ({}, Block(2, 2, 0, 0))
