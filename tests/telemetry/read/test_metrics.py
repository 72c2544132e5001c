"""The exposition: right, complete from the start, in slices, never going back."""

import dataclasses
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from canaryproxy.model.failure import Outcome
from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.model.settings import BUCKETS
from canaryproxy.telemetry.read.counters import Counters
from canaryproxy.telemetry.read.exposition import SLICE, Exposition, negotiate, render
from canaryproxy.telemetry.read.metrics import (
    InstanceFacts,
    ListenerFacts,
    RouteFacts,
    connection_families,
    listener_families,
)
from canaryproxy.telemetry.read.window import Window
from canaryproxy.telemetry.record.histogram import classic
from canaryproxy.telemetry.record.logarithm import bucket_of

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def facts(routes: int = 1, *deltas: Delta) -> InstanceFacts:
    counters, window = Counters(), Window()
    for delta in deltas:
        counters.add(0, delta)
        window.add(delta)
    data = [RouteFacts(f"r{n}", 250, ("weight", "rule:a"), lambda: {("stable", "healthy"): 2}) for n in range(routes)]
    return InstanceFacts(data, counters, window, 10.0, 2, 1, 7, True, {"version": "1"}, BUCKETS)


def written(said: InstanceFacts, accept: str = "") -> bytes:
    return b"".join(Exposition(tuple(render(said))).blocks(negotiate(accept)))


def samples(said: InstanceFacts, accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = written(said, accept).decode()
    read = read_openmetrics if "openmetrics" in accept else read_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read(text)
        for sample in family.samples
    }


def of(version: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"route": "r0", "version": version, **labels}.items()))


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_every_series_is_there_at_0_from_the_start(accept: str) -> None:
    found = samples(facts(), accept)
    for version in ("stable", "canary"):
        for code in ("200", "500"):
            assert found["canaryproxy_requests_total", of(version, code=code)] == 0
        for outcome in Outcome:
            assert found["canaryproxy_attempts_total", of(version, outcome=outcome.value)] == 0
        for reason in ("weight", "rule:a"):
            assert found["canaryproxy_decisions_total", of(version, reason=reason)] == 0
        assert found["canaryproxy_attempt_duration_seconds_bucket", of(version, le="+Inf")] == 0
        assert found["canaryproxy_in_flight", of(version)] == 0
    assert (found["canaryproxy_weight", of("canary")], found["canaryproxy_weight", of("stable")]) == (2.5, 97.5)
    assert found["canaryproxy_endpoints", of("stable", state="healthy")] == 2
    assert (found["canaryproxy_workers", ()], found["canaryproxy_generation", ()]) == (2, 7)
    assert ("canaryproxy_observed_weight", of("canary")) not in found


def test_what_was_counted_is_reported() -> None:
    key = CounterKey("r0", "canary", "e", "weight", True)
    cell = CounterDelta(
        key,
        9,
        4,
        {"success": 3, "timeout": 1},
        {"reset": 1},
        {200: 3, 504: 1},
        {bucket_of(0.02): 3},
        {bucket_of(0.02): 3, bucket_of(20): 1},
        rescues={"fallback": 1},
    )
    found = samples(facts(1, Delta(7, 9.5, (cell,), refused={404: 2}, in_flight={("r0", "canary"): 5})))
    assert found["canaryproxy_requests_total", of("canary", code="504")] == 1
    assert found["canaryproxy_attempts_total", of("canary", outcome="reset")] == 1
    assert found["canaryproxy_request_duration_seconds_bucket", of("canary", le="0.025")] == 3
    assert found["canaryproxy_request_duration_seconds_bucket", of("canary", le="10.0")] == 3
    assert found["canaryproxy_request_duration_seconds_count", of("canary")] == 4
    assert found["canaryproxy_request_duration_seconds_sum", of("canary")] == pytest.approx(20.06, rel=0.011)
    assert found["canaryproxy_rescues_total", (("kind", "fallback"), ("route", "r0"))] == 1
    assert found["canaryproxy_rejected_requests_total", (("code", "404"),)] == 2
    assert (found["canaryproxy_observed_weight", of("canary")], found["canaryproxy_in_flight", of("canary")]) == (
        100,
        5,
    )


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_workers_that_were_killed_for_what_they_said_are_reported_by_reason(accept: str) -> None:
    found = samples(replace(facts(), refused={"garbled": 0, "bounds": 3, "failed": 1}), accept)
    name = "canaryproxy_worker_reports_refused_total"
    assert {labels: value for (one, labels), value in found.items() if one == name} == {
        (("reason", "garbled"),): 0,
        (("reason", "bounds"),): 3,
        (("reason", "failed"),): 1,
    }


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_one_series_a_route_says_which_rollout_and_which_versions_and_no_other_metric_does(accept: str) -> None:
    said = facts()
    (route,) = said.routes
    found = samples(replace(said, routes=[replace(route, identity=("20261128-022013-k3f9z", "v41", "v42"))]), accept)
    info = [labels for name, labels in found if name == "canaryproxy_rollout_info"]
    assert info == [
        (("canary_version", "v42"), ("rollout", "20261128-022013-k3f9z"), ("route", "r0"), ("stable_version", "v41"))
    ]
    assert found["canaryproxy_rollout_info", info[0]] == 1
    others = {label for name, labels in found for label, _ in labels if name != "canaryproxy_rollout_info"}
    assert others.isdisjoint({"rollout", "canary_version", "stable_version"})


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_slices_join_to_one_exposition(accept: str) -> None:
    count = 3 * SLICE + 1
    said = facts(count)
    text = written(said, accept).decode()
    assert text.count("# TYPE canaryproxy_requests") == 1
    found = samples(said, accept)
    assert sum(name == "canaryproxy_retries_total" for name, _ in found) == 2 * count
    assert text.endswith("# EOF\n") is bool(accept)
    assert samples(facts(0), accept)["canaryproxy_routes", ()] == 0


@given(st.lists(st.floats(1e-5, 30), max_size=30), st.lists(st.floats(1e-5, 30), max_size=10))
def test_classic_buckets_are_right_to_a_hundredth_and_never_go_back(first: list[float], more: list[float]) -> None:
    def counted(values: list[float]) -> list[tuple[str, float]]:
        return classic(Counter(map(bucket_of, values)), BUCKETS)

    for (bound, count), (_, later) in zip(counted(first), counted(first + more), strict=True):
        upper = float(bound)
        assert sum(value <= upper * 0.988 for value in first) <= count <= sum(value <= upper * 1.012 for value in first)
        assert later >= count


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_route_without_a_canary_has_no_series_that_is_about_one(accept: str) -> None:
    said = facts()
    plain = RouteFacts("plain", 0, ("weight",), lambda: {("stable", "healthy"): 1}, ("g",), versions=("stable",))
    found = samples(dataclasses.replace(said, routes=[*said.routes, plain]), accept)
    mine = {(name, labels) for name, labels in found if ("route", "plain") in labels}
    assert {dict(labels).get("version") for _, labels in mine} == {"stable"}
    about = {name for name, _ in mine}
    assert not [
        name for name in about if any(word in name for word in ("mirror", "verdict", "rollout", "check", "resc"))
    ]
    of_stable = {"route": "plain", "version": "stable"}
    assert found["canaryproxy_weight", tuple(sorted(of_stable.items()))] == 100
    assert ("canaryproxy_goal_events_total", tuple(sorted({**of_stable, "goal": "g"}.items()))) in found


def test_rollouts_that_ended_are_still_reported_when_their_canary_is_gone() -> None:
    said = facts()
    ended = {("rolled_back", "removed"): 1}
    plain = RouteFacts("plain", 0, ("weight",), dict, ended=ended, versions=("stable",))
    found = samples(dataclasses.replace(said, routes=[plain]))
    labels = (("reason", "removed"), ("result", "rolled_back"), ("route", "plain"))
    assert [value for (name, _), value in found.items() if "rollout" in name] == [1]
    assert found["canaryproxy_rollouts_total", labels] == 1


def test_every_reason_has_a_series_from_the_beginning_and_is_added_up_over_workers() -> None:
    counters = Counters()
    counters.add(0, Delta(1, 0.0, turned_away={"full": 2}, evicted={"memory": 1}))
    counters.add(1, Delta(1, 0.0, turned_away={"full": 3}, evicted={"full": 4}))
    _, refused, evicted = connection_families(counters)
    assert {sample.labels["reason"]: sample.value for sample in refused.samples} == {
        "address": 0,
        "files": 0,
        "full": 5,
    }
    assert {sample.labels["reason"]: sample.value for sample in evicted.samples} == {
        "files": 0,
        "full": 4,
        "handshakes": 0,
        "memory": 1,
    }
    assert refused.samples[0].name == "canaryproxy_connections_refused_total"


def test_every_listener_and_reason_has_its_series() -> None:
    facts = ListenerFacts({"admin": 3, "probes": 0}, {("probes", "evicted"): 7, ("probes", "busy"): 0})
    samples = [
        (sample.name.removeprefix("canaryproxy_control_"), tuple(sample.labels.values()), sample.value)
        for family in listener_families(facts)
        for sample in family.samples
    ]
    assert samples == [
        ("connections", ("admin",), 3),
        ("connections", ("probes",), 0),
        ("connections_dropped_total", ("probes", "evicted"), 7),
        ("connections_dropped_total", ("probes", "busy"), 0),
    ]
