"""The recent past: exact within the window, coarser with age, only what was drawn."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.telemetry.read.window import RESOLUTIONS, Window
from canaryproxy.telemetry.record.logarithm import bucket_of

SIDE = ("shop", "canary")


def delta(
    at: float, count: int = 1, *, analysed: bool = True, version: str = "canary", **more: dict[str, int]
) -> Delta:
    key = CounterKey("shop", version, "e", "weight", analysed)
    return Delta(1, at, (CounterDelta(key, int(at), count, more.get("outcomes", {"success": count})),))


def test_only_what_was_drawn_counts_and_only_the_versions_own_faults() -> None:
    window = Window()
    window.add(delta(10.0, 5, analysed=False))
    window.add(delta(10.0, 9, outcomes={"success": 3, "error_5xx": 1, "timeout": 1, "client_abort": 2, "overflow": 2}))
    sample = window.sample(SIDE, 10.5, 60)
    assert (sample.starts, sample.requests, sample.errors, sample.error_rate) == (9, 5, 2, 0.4)


@given(st.lists(st.integers(0, 4000), max_size=60), st.sampled_from([1, 10, 60, 120, 600, 1200, 3600]))
def test_a_window_holds_what_was_reported_within_it(ages: list[int], seconds: int) -> None:
    window, now = Window(), 10_000.0
    for age in sorted(ages, reverse=True):
        window.add(delta(now - age))
    width = next(width for width, reach in RESOLUTIONS if seconds <= reach)
    found = window.sample(SIDE, now, seconds).requests
    assert sum(age <= seconds - width for age in ages) <= found <= sum(age <= seconds + width for age in ages)


def test_the_past_takes_bounded_room() -> None:
    window = Window()
    for at in range(0, 20_000, 1):
        window.add(delta(float(at)))
    slots = window._histories[SIDE]._slots
    assert [len(some) for some in slots] == [reach // width + 1 for width, reach in RESOLUTIONS]


def test_mean_and_quantiles_are_within_a_hundredth() -> None:
    rng, window = random.Random(1), Window()
    values = sorted(rng.lognormvariate(-4, 1) for _ in range(2000))
    key = CounterKey("shop", "canary", "e", "weight", True)
    for value in values:
        window.add(Delta(1, 5.0, (CounterDelta(key, 5, 1, {"success": 1}, latency={bucket_of(value): 1}),)))
    sample = window.sample(SIDE, 5.0, 60)
    assert sample.mean == pytest.approx(sum(values) / 2000, rel=0.011)
    for q in (0.5, 0.9, 0.95, 0.99):
        assert sample.quantile(q) == pytest.approx(values[int(q * 2000) - 1], rel=0.0115)


def test_the_observed_weight_is_that_of_the_last_minute() -> None:
    window = Window()
    assert window.observed_weight("shop", 5.0) is None
    window.add(delta(0.0, 100))
    window.add(delta(100.0, 1))
    window.add(delta(100.0, 3, version="stable"))
    assert window.observed_weight("shop", 100.0) == 25.0
    window.retain(set())
    assert window.observed_weight("shop", 100.0) is None
    assert window.sample(SIDE, 0.0, 1).mean is None
