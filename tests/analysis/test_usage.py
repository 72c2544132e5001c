"""Use per request, from counters and levels that endpoints tell of themselves."""

import pytest

from canaryproxy.analysis.usage import CounterReading, ReadingProblem, Usage, UsageBlock


def read(usage: Usage, version: str, endpoint: str, *readings: tuple[float, float, int]) -> None:
    for at, value, requests in readings:
        usage.read(version, endpoint, CounterReading(at, value, requests, 5.0))


def test_a_counter_is_compared_by_what_it_grew_for_each_request() -> None:
    usage = Usage(counter=True)
    read(usage, "canary", "c:1", (0, 7.0, 100), (10, 8.0, 300), (20, 9.0, 500))
    read(usage, "stable", "s:1", (0, 50.0, 0), (20, 50.25, 200))
    read(usage, "stable", "s:2", (0, 20.0, 1000), (20, 20.25, 1200))
    assert usage.close() == UsageBlock(0.005, 0.00125, (20.0, 10.0))


def test_a_level_is_compared_by_its_mean_for_each_request_a_second_or_by_endpoint() -> None:
    for per, canary in (("request", 30.0), ("endpoint", 300.0)):
        usage = Usage(counter=False, per=per)  # type: ignore[arg-type]
        read(usage, "canary", "c:1", (0, 200.0, 0), (10, 400.0, 100))
        read(usage, "stable", "s:1", (0, 100.0, 0), (10, 100.0, 100))
        found = usage.close()
        assert isinstance(found, UsageBlock)
        assert found.canary == pytest.approx(canary)


def test_copies_of_a_mirror_are_requests_of_the_canary() -> None:
    usage = Usage(counter=True)
    read(usage, "canary", "c:1", (0, 0.0, 0), (10, 1.0, 50))
    read(usage, "stable", "s:1", (0, 0.0, 0), (10, 1.0, 100))
    usage.copied(50)
    assert usage.close() == UsageBlock(0.01, 0.01, (10.0, 10.0))


def test_a_counter_that_goes_backwards_is_refused_and_says_why() -> None:
    usage = Usage(counter=True)
    read(usage, "stable", "vip:80", (0, 9.0, 0), (10, 4.0, 100), (20, 9.5, 200))
    found = usage.close()
    assert isinstance(found, ReadingProblem)
    assert found.text.startswith("the counter at vip:80 went backwards")
    assert not found.unknown


def test_another_process_behind_the_same_address_is_noticed_though_its_counter_is_higher() -> None:
    usage = Usage(counter=True)
    usage.read("stable", "vip:80", CounterReading(0, 1.0, 0, began=100.0))
    usage.read("stable", "vip:80", CounterReading(10, 2.0, 0, began=200.0))
    assert isinstance(usage.close(), ReadingProblem)
    level = Usage(counter=False)
    level.read("stable", "vip:80", CounterReading(0, 2.0, 0, began=100.0))
    level.read("stable", "vip:80", CounterReading(10, 1.0, 10, began=200.0))
    level.read("canary", "c:80", CounterReading(0, 2.0, 0))
    level.read("canary", "c:80", CounterReading(10, 1.0, 10))
    assert isinstance(level.close(), UsageBlock)


def test_an_endpoint_that_cannot_be_read_makes_the_block_unknown() -> None:
    usage = Usage(counter=True)
    usage.unread("c:1", "timed out")
    assert usage.close() == ReadingProblem("c:1 cannot be read: timed out", unknown=True)


def test_nothing_is_said_of_versions_without_requests_or_readings() -> None:
    usage = Usage(counter=True)
    found = usage.close()
    assert found == ReadingProblem("canary had no endpoint that could be read in a whole block")
    read(usage, "canary", "c:1", (0, 0.0, 5), (10, 1.0, 5))
    assert usage.close() == ReadingProblem("canary had no requests in a whole block")
