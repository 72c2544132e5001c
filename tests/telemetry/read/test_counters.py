"""Deltas added up: sums for ever, states as long as their worker lives."""

from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.telemetry.read.counters import Counters

KEY = CounterKey("shop", "canary", "e", "weight", True)
CELL = CounterDelta(
    KEY,
    1,
    3,
    {"success": 2, "error_5xx": 1},
    {"reset": 1},
    {200: 2, 500: 1},
    {5: 2},
    {6: 3},
    rescues={"fallback": 1},
    ejections=1,
)


def test_sums_outlive_the_workers_that_counted() -> None:
    counters = Counters()
    for slot in (0, 1):
        counters.add(slot, Delta(1, 1.0, (CELL,), refused={404: 2}))
        counters.worker_exited(slot)
    sums = counters.sums("shop", "canary")
    assert (sums.requests, sums.errors, sums.retries, sums.ejections) == (6, 2, 2, 2)
    assert (sums.attempts, sums.decisions, sums.rescues) == (
        {"success": 4, "error_5xx": 2, "reset": 2},
        {"weight": 6},
        {"fallback": 2},
    )
    assert (sums.codes, sums.latency, sums.duration, counters.refused) == ({200: 4, 500: 2}, {5: 4}, {6: 6}, {404: 4})
    assert str(counters) == "10 requests: shop canary 6 (2 failed), refused 4"


def test_what_stands_open_is_the_sum_over_living_workers() -> None:
    counters, side = Counters(), ("shop", "stable")
    counters.add(0, Delta(1, 1.0, in_flight={side: 2}, tunnels={side: 1}, ejected=frozenset("a")))
    counters.add(1, Delta(1, 1.0, in_flight={side: 3}))
    assert (counters.in_flight(side), counters.tunnels(side), counters.ejected("ab")) == (5, 1, {"a"})
    counters.add(1, Delta(1, 1.2, in_flight={side: 1}))
    assert counters.in_flight(side) == 3
    counters.worker_exited(0)
    assert (counters.in_flight(side), counters.tunnels(side), counters.ejected("ab")) == (1, 0, set())


def test_routes_that_are_gone_are_forgotten() -> None:
    counters = Counters()
    counters.add(0, Delta(1, 1.0, (CELL,)))
    counters.retain({"shop"})
    assert counters.sums("shop", "canary").requests == 3
    counters.retain(set())
    assert counters.sums("shop", "canary").requests == 0
    assert str(Counters()) == "0 requests"
