"""The judge beside simulated traffic: what is found, how soon, and what is not."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canaryproxy.analysis.finding import Finding, JudgeReport
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import (
    AnalysisSpec,
    ErrorSpec,
    ExternalSpec,
    FixedLimits,
    GoalSpec,
    LatencySpec,
    ResourceSpec,
)
from canaryproxy.analysis.usage import ReadingProblem, UsageBlock
from canaryproxy.model.document import TooNewError
from canaryproxy.model.report import CounterDelta, CounterKey, OpenRequests
from canaryproxy.model.table import VersionName
from tests.support.judged import EVERYTHING, JUDGED, fresh
from tests.support.traffic import Version, Visitors, World, failing, key


def check(analysis: JudgeReport, name: str) -> Finding:
    return next(one for one in analysis.checks if one.name == name)


@pytest.mark.parametrize("seed", range(5))
def test_a_canary_that_fails_everything_is_found_within_a_second_and_a_half(seed: int) -> None:
    world = World(Version(0.001), Version(1.0), seed=seed)
    took = world.run(10, failing)
    assert took is not None
    assert took <= 1.5
    assert "canary failed" in world.judge.analysis(world.now).reason


def test_thirty_times_the_errors_are_found_in_seconds() -> None:
    world = World(Version(0.001), Version(0.03))
    took = world.run(60, failing)
    assert took is not None
    assert took < 30
    errors = check(world.judge.analysis(world.now), "errors")
    assert errors.comparison == "worse"
    assert errors.interval is not None
    assert errors.interval[0] > 1


@pytest.mark.parametrize("weight", [100, 500, 5000])
def test_an_equal_canary_is_judged_alike_whatever_its_share(weight: int) -> None:
    world = World(Version(0.02, 0.01), Version(0.02, 0.01), weight=weight)
    assert world.run(120, failing) is None
    analysis = world.judge.analysis(world.now)
    assert {one.comparison for one in analysis.checks} <= {"no difference shown", None}
    assert analysis.verdict == "pass"
    assert analysis.placebo == 1
    assert "nothing is shown to be worse" in analysis.reason


def test_both_getting_worse_together_blames_no_one() -> None:
    world = World(Version(0.001), Version(0.001))
    world.run(90)
    for version in (world.stable, world.canary):
        version.errors, version.median = 0.6, 0.2
    assert world.run(60, failing) is None
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict == "inconclusive"
    assert "environment" in analysis.reason


def test_half_as_slow_again_is_found_after_the_warm_up() -> None:
    world = World(Version(), Version(median=0.03))
    took = world.run(120, failing)
    assert took is not None
    assert 30 < took < 70
    assert "95 % of the canary's requests took" in world.judge.analysis(world.now).reason


def test_a_slow_minute_that_begins_within_the_warm_up_blames_no_one() -> None:
    world = World(weight=0)
    world.run(5)
    world.weight = 500
    world.run(29)
    world.stable = world.canary = Version(median=0.04)
    assert world.run(20, failing) is None
    latency = world.judge.check_set.latency
    assert latency is not None
    assert latency._slower._evidence.highest < 5


def test_slow_first_seconds_are_forgiven() -> None:
    world = World(Version(), Version(median=0.2))
    world.run(28)
    world.canary.median = 0.02
    assert world.run(60, failing) is None


def test_a_canary_that_hangs_is_found_before_any_of_its_requests_has_ended() -> None:
    world = World(Version(), Version(hangs=1.0))
    took = world.run(20, failing)
    assert took is not None
    assert took <= 6
    assert world.judge.check_set.errors is not None


def test_a_better_canary_is_reported_to_be() -> None:
    spec = AnalysisSpec(goals=(GoalSpec("cart"),))
    world = World(Version(0.02, buys=0.05), Version(0.002, median=0.012, buys=0.1), weight=5000, spec=spec, goal="cart")
    world.run(200)
    analysis = world.judge.analysis(world.now)
    assert [check(analysis, name).comparison for name in ("errors", "latency", "goal:cart")] == ["better"] * 3
    assert analysis.verdict == "pass"
    assert analysis.reason.startswith("better: errors, latency, goal:cart")


def test_a_canary_that_sells_half_is_held_and_not_taken_back() -> None:
    spec = AnalysisSpec(goals=(GoalSpec("cart"),))
    world = World(Version(buys=0.05), Version(buys=0.02), weight=2000, spec=spec, goal="cart")
    world.run(120)
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict == "inconclusive"
    assert analysis.reason.startswith("cart:")
    assert check(analysis, "goal:cart").comparison == "worse"


def test_a_canary_that_sells_nothing_is_taken_back_where_that_is_wanted() -> None:
    spec = AnalysisSpec(goals=(GoalSpec("cart", on_failure="rollback"),))
    world = World(Version(buys=0.05), Version(buys=0.0), weight=2000, spec=spec, goal="cart")
    took = world.run(120, failing)
    assert took is not None
    assert world.judge.analysis(world.now).reason.startswith("cart:")


def test_orders_of_half_the_value_are_noticed() -> None:
    spec = AnalysisSpec(goals=(GoalSpec("revenue", valued=True, cap=200.0),))
    stable, canary = Version(buys=0.1), Version(buys=0.1, order=12.0)
    world = World(stable, canary, weight=5000, spec=spec, goal="revenue", valued=True)
    world.run(240)
    found = check(world.judge.analysis(world.now), "goal:revenue")
    assert found.comparison == "worse"
    assert "per request" in found.sentence


def test_a_wave_of_404_holds() -> None:
    world = World(Version(refusals=0.01), Version(refusals=0.2))
    world.run(60)
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict == "inconclusive"
    assert "answered 4xx to" in analysis.reason


def test_with_affinity_it_is_users_who_count() -> None:
    world = World(affinity=True, rate=20)
    visitors = Visitors(world, arrivals=40, bad=(0.3, 0.002))
    took = visitors.run(120, failing)
    assert took is not None
    errors = check(world.judge.analysis(world.now), "errors")
    assert errors.unit == "user"
    assert "users" in errors.sentence


def test_users_who_fail_again_and_again_count_once() -> None:
    world = World(affinity=True, rate=20)
    visitors = Visitors(world, arrivals=40, bad=(0.02, 0.02))
    assert visitors.run(120, failing) is None
    assert world.judge.analysis(world.now).verdict == "pass"


def test_users_who_buy_less_hold() -> None:
    world = World(affinity=True, rate=20, weight=5000, spec=AnalysisSpec(goals=(GoalSpec("cart"),)), goal="cart")
    visitors = Visitors(world, arrivals=40, buyers=(0.05, 0.2))
    visitors.run(60)
    assert check(world.judge.analysis(world.now), "goal:cart").comparison == "worse"
    assert world.judge.analysis(world.now).verdict == "inconclusive"


def test_a_failing_verdict_stands_until_the_canary_has_no_share_any_more() -> None:
    world = World(Version(), Version(1.0))
    assert world.run(5, failing) is not None
    world.canary.errors = 0.0
    world.run(120)
    assert world.judge.analysis(world.now).verdict == "fail"
    world.weight = 0
    world.run(2)
    analysis = world.judge.analysis(world.now)
    assert (analysis.verdict, analysis.reason) == ("inconclusive", "the canary has no share of the traffic")


def test_another_weight_restarts_what_is_shown_and_keeps_the_evidence() -> None:
    world = World(Version(0.01), Version(0.02))
    world.run(30)
    before = world.judge.analysis(world.now)
    world.weight = 2000
    world.run(1)
    after = world.judge.analysis(world.now)
    assert check(after, "errors").samples.canary < check(before, "errors").samples.canary
    assert check(after, "errors").evidence == pytest.approx(check(before, "errors").evidence, rel=0.9)
    assert after.verdict == "inconclusive"
    assert "are wanted" in after.reason


def test_above_half_the_canary_has_to_be_proven() -> None:
    world = World(Version(0.003), Version(0.003), rate=50, weight=6000)
    world.run(20)
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict == "inconclusive"
    world.rate = 500
    world.run(150)
    assert world.judge.analysis(world.now).verdict == "pass"


def test_a_dry_run_says_what_it_finds_and_fails_nothing() -> None:
    world = World(Version(), Version(0.2), spec=AnalysisSpec(errors=ErrorSpec(dry_run=True)))
    assert world.run(30, failing) is None
    assert check(world.judge.analysis(world.now), "errors").verdict == "fail"


def test_the_hard_limit_needs_no_evidence_and_stands_down_with_stable() -> None:
    spec = AnalysisSpec(errors=None, latency=None)
    assert World(Version(), Version(0.9), spec=spec).run(10, failing) is not None
    assert World(Version(0.6), Version(0.9), spec=spec).run(10, failing) is None


def test_fixed_bounds_fail_after_five_looks_in_a_row() -> None:
    errors = AnalysisSpec(errors=ErrorSpec(limits=FixedLimits(max=0.001)))
    world = World(Version(0.01), Version(0.01), weight=5000, spec=errors)
    took = world.run(30, failing)
    assert took is not None
    assert "errors:limits is" in world.judge.analysis(world.now).reason
    slow = AnalysisSpec(latency=LatencySpec(limits=FixedLimits(max=0.001)))
    assert World(weight=5000, spec=slow).run(60, failing) is not None


def test_what_an_external_source_knows_holds_when_it_is_unknown_and_fails_when_it_is_bad() -> None:
    world = World(weight=5000, spec=AnalysisSpec(externals=(ExternalSpec("load", max=1.0),)))
    world.run(30)
    assert "nothing was read yet" in world.judge.analysis(world.now).reason
    load = world.judge.check_set.externals["load"]
    load.unread("connection refused")
    assert "connection refused" in world.judge.analysis(world.now).reason
    for _ in range(3):
        assert world.judge.analysis(world.now).verdict != "fail"
        load.read(2.0, None)
    assert world.judge.failed(world.now) is not None


def test_resources_hold() -> None:
    world = World(weight=5000, spec=AnalysisSpec(resources=(ResourceSpec("cpu"),)))
    cpu = world.judge.check_set.resources["cpu"]
    for number in range(8):
        cpu.block(UsageBlock(1.5 + number / 100, 1.0, (100.0, 100.0)))
    world.run(60)
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict == "inconclusive"
    assert analysis.reason.startswith("cpu: 1.5")
    cpu.block(ReadingProblem("10.0.0.1:80 cannot be read", unknown=True))
    assert world.judge.analysis(world.now).reason == "cpu: 10.0.0.1:80 cannot be read"


def test_failures_that_come_in_bad_seconds_of_machines_are_counted_by_them() -> None:
    spec = AnalysisSpec(unit="endpoint-second", latency=None)
    many = tuple(f"10.0.0.{number}:80" for number in range(5))
    world = World(Version(0.01, endpoints=many), Version(0.01, endpoints=many), rate=100, spec=spec)
    assert world.run(60, failing) is None
    errors = check(world.judge.analysis(world.now), "errors")
    assert errors.unit == "endpoint-second"
    assert errors.samples.canary
    world = World(Version(0.01, endpoints=many), Version(1.0, endpoints=many), rate=100, spec=spec)
    assert world.run(60, failing) is not None


def test_where_stables_endpoints_stall_now_and_then_no_one_counts_requests() -> None:
    world = World(weight=0, rate=0.0, spec=AnalysisSpec(latency=None))
    rng = random.Random(4)
    for second in range(1000, 4700):
        for endpoint in ("a:1", "b:1", "c:1"):
            failed = 5 if rng.random() < 0.01 else 0
            world.judge.count(cell("stable", second, 10, failed=failed, endpoint=endpoint), current=True)
        world.judge.tick(second + 1.0, 0, second + 1.0)
    world.judge.advance(4700.0, 500)
    for version in VERSIONS:
        world.judge.count(cell(version, 4700, 10), current=True)
    world.judge.tick(4710.0, 500, 4710.0)
    errors = check(world.judge.analysis(4710.0), "errors")
    assert errors.unit == "endpoint-second"
    assert "looks like a bad machine" in errors.sentence


def test_who_waited_at_a_worker_that_is_gone_is_forgotten() -> None:
    world = World(weight=5000)
    world.judge.reported(7, world.now, (OpenRequests(key("canary"), int(world.now), 500),))
    world.judge.worker_exited(7)
    assert world.run(60, failing) is None


def test_what_stable_takes_is_known_before_there_is_a_canary() -> None:
    world = World(Version(median=3.0, spread=0.1), Version(median=3.0, spread=0.1), rate=50, weight=0)
    world.run(30)
    world.weight = 5000
    world.run(2)
    assert world.judge.check_set.latency is not None
    assert world.judge.check_set.latency.wait >= 6


def test_without_a_share_and_without_traffic_there_is_nothing_to_look_at() -> None:
    world = World(weight=0, rate=0.0)
    assert world.judge.idle
    world.rate = 50.0
    world.report()
    assert not world.judge.idle


def share(world: World) -> Finding:
    return check(world.judge.analysis(world.now), "sample-ratio")


VERSIONS: tuple[VersionName, ...] = ("canary", "stable")


def cell(
    version: VersionName, second: int, starts: int, reason: str = "weight", failed: int = 0, endpoint: str = "a:1"
) -> CounterDelta:
    outcomes = {"timeout": failed, "success": starts - failed}
    return CounterDelta(CounterKey("shop", version, endpoint, reason, True), second, starts, outcomes)


def test_draws_under_another_weight_are_no_sign_of_a_broken_split() -> None:
    world = World(weight=500)
    world.run(10)
    world.weight = 5000
    for _ in range(5):
        world.judge.advance(world.now, world.weight)
        world.judge.count(cell("stable", int(world.now), 500), current=False)
        world.judge.count(cell("canary", int(world.now), 25), current=False)
    world.run(5)
    assert share(world).verdict == "pass"
    assert share(world).evidence is not None


def test_requests_that_a_rule_decided_are_no_sign_of_one_either() -> None:
    for affinity in (False, True):
        world = World(weight=500, affinity=affinity)
        for _ in range(10):
            world.judge.count(cell("canary", int(world.now), 500, "rule:testers"), current=True)
            world.run(1)
        assert share(world).evidence is not None
        assert share(world).evidence < 10  # type: ignore[operator]


def test_what_hung_and_then_timed_out_counts_once_against_the_hard_limit() -> None:
    world = World(spec=AnalysisSpec(errors=None, latency=None))
    second = int(world.now)
    world.judge.count(cell("stable", second, 500), current=True)
    world.judge.reported(0, world.now, (OpenRequests(key("canary"), second, 15),))
    world.judge.tick(world.now + 5, 500, world.now + 5)
    world.judge.reported(0, world.now + 6, ())
    world.judge.count(cell("canary", second, 15, failed=15), current=True)
    limit = check(world.judge.analysis(world.now + 6), "limit:error_rate")
    assert limit.verdict == "pass"
    assert limit.sentence.startswith("canary failed 15 of its last 15 requests")


def test_what_another_canary_began_is_not_held_against_this_one() -> None:
    world = World(weight=500)
    second = int(world.now)
    world.judge.restart(world.now, first=second + 1)
    world.judge.count(cell("canary", second, 50, failed=50), current=True)
    world.judge.count(cell("stable", second, 500), current=True)
    world.judge.reported(0, world.now, ())
    assert world.judge.failed(world.now) is None
    assert check(world.judge.analysis(world.now), "errors").samples.canary == 0


def test_a_failing_verdict_stands_with_its_reason_while_the_checks_go_on() -> None:
    world = World(Version(0.001), Version(1.0))
    world.run(5, failing)
    before = world.judge.analysis(world.now)
    world.canary = Version(0.0)
    world.run(30)
    after = world.judge.analysis(world.now)
    assert (after.verdict, after.reason, after.evidence) == ("fail", before.reason, before.evidence)
    assert check(after, "errors").samples.canary > check(before, "errors").samples.canary + 100
    errors = check(after, "errors")
    assert errors.p is not None
    assert errors.p < 0.01


def test_with_all_of_the_traffic_it_is_suspicious_and_not_judged_and_judged_again_beside_a_control() -> None:
    world = World(Version(0.01), Version(0.01), weight=5000, spec=AnalysisSpec(latency=None))
    world.run(30)
    evidence = world.judge.check_set.evidence
    world.weight = 10_000
    world.run(20)
    assert world.judge.analysis(world.now).uncontrolled == ""
    world.canary = Version(0.7)
    world.run(2)
    analysis = world.judge.analysis(world.now)
    assert analysis.verdict != "fail"
    assert analysis.uncontrolled.startswith("canary failed ")
    assert world.judge.check_set.evidence == evidence
    world.stable = Version(0.7)
    world.weight = 5000
    assert world.run(60, failing) is None
    assert world.judge.analysis(world.now).uncontrolled == ""
    world.stable = Version(0.01)
    assert world.run(20, failing) is not None


def test_a_step_to_more_than_half_is_for_the_proven() -> None:
    world = World(Version(0.003), Version(0.003), rate=300, weight=5000)
    world.run(20)
    world.judge.tick(world.now, 5000, world.now, next_weight=5000)
    assert world.judge.analysis(world.now).verdict == "pass"
    world.judge.tick(world.now, 5000, world.now, next_weight=6000)
    assert "to prove it no" in world.judge.analysis(world.now).reason
    world.run(200)
    world.judge.tick(world.now, 5000, world.now, next_weight=6000)
    assert world.judge.analysis(world.now).verdict == "pass"


# What outlives the process.


def stored(judge: Judge, now: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(judge.snapshot(now), allow_nan=False))
    return found


def again(world: World) -> None:
    """The process ends, and another one goes on."""
    judge = fresh(world)
    judge.restore(stored(world.judge, world.now), world.now)
    world.judge = judge


def numbers(analysis: JudgeReport) -> list[object]:
    return [(one.name, one.verdict, one.evidence, one.better, one.proof, one.samples, one.p) for one in analysis.checks]


@pytest.mark.parametrize("name", JUDGED)
def test_a_judge_says_the_same_after_a_restart(name: str) -> None:
    world = JUDGED[name]()
    before, was = world.judge.analysis(world.now), stored(world.judge, world.now)
    again(world)
    after = world.judge.analysis(world.now)
    assert numbers(after) == numbers(before)
    assert (after.verdict, after.reason, after.evidence) == (before.verdict, before.reason, before.evidence)
    assert (after.weight, after.exposed, after.uncontrolled) == (before.weight, before.exposed, before.uncontrolled)
    assert after.seconds == pytest.approx(before.seconds)
    now = stored(world.judge, world.now)
    assert {**now, "warm": was["warm"], "seconds": was["seconds"]} == was


def test_it_goes_on_to_what_it_would_have_found() -> None:
    worlds = [World(Version(0.01), Version(0.03), seed=4) for _ in range(2)]
    for world in worlds:
        world.run(5)
    again(worlds[1])
    took = [world.run(200, failing) for world in worlds]
    assert all(one is not None and one < 60 for one in took)


@given(st.integers(0, 1000), st.integers(1, 12), st.sampled_from([300, 5000, 10_000]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_whatever_it_has_seen_survives(seed: int, seconds: int, weight: int, affinity: bool) -> None:
    world = World(
        Version(0.02, 0.01, buys=0.1),
        Version(0.05, 0.02, hangs=0.01, buys=0.1),
        rate=60,
        weight=weight,
        spec=EVERYTHING,
        affinity=affinity,
        goal="cart",
        valued=True,
        seed=seed,
    )
    world.run(seconds)
    was = stored(world.judge, world.now)
    again(world)
    assert {**stored(world.judge, world.now), "warm": was["warm"], "seconds": was["seconds"]} == was


LATER = {"bet": [1, 2], "deep": {"er": 1}}


def objects(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where there are objects in a document."""
    if isinstance(value, dict):
        yield path
        for name, one in value.items():
            yield from objects(one, (*path, name))


def at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def test_what_a_later_version_has_added_anywhere_is_written_back() -> None:
    """An older reader keeps unknown fields at every level, and the evidence of checks that it does not know."""
    world = JUDGED["everything"]()
    data = stored(world.judge, world.now)
    named = {
        ("warm",),
        ("goals_at_risk",),
        ("panel", "highest"),
        ("stable", "dispersion", "failed"),
        ("stable", "dispersion", "failed_seconds"),
    }
    places = [path for path in objects(data) if path not in named]
    assert len(places) > 30
    for path in places:
        at(data, path)["later"] = LATER
    data["panel"]["saturation"] = {"v": 3, "evidence": {"looks": 9}}
    data["panel"]["goals"]["of another release"] = {"fewer": 1}
    judge = fresh(world)
    judge.restore(data, world.now)
    world.judge = judge
    world.run(3)
    after = stored(world.judge, world.now)
    for path in places:
        assert at(after, path)["later"] == LATER, path
    assert after["panel"]["saturation"] == {"v": 3, "evidence": {"looks": 9}}
    assert after["panel"]["goals"]["of another release"] == {"fewer": 1}


def test_of_another_canary_only_what_is_known_of_stable_is_kept() -> None:
    world = JUDGED["everything"]()
    data = stored(world.judge, world.now)
    data["later"] = data["panel"]["later"] = data["stable"]["later"] = LATER
    judge = fresh(world)
    judge.restore(data, world.now)
    judge.restart(world.now, first=int(world.now))
    after = stored(judge, world.now)
    assert after["stable"]["later"] == LATER
    assert "later" not in after
    assert "later" not in after["panel"]


def test_a_check_that_an_older_version_did_not_have_begins_now() -> None:
    world = JUDGED["everything"]()
    data = stored(world.judge, world.now)
    for name in ("refusals", "sample_ratio", "highest"):
        del data["panel"][name]
    data["panel"]["resources"] = {}
    judge = fresh(world)
    judge.restore(data, world.now)
    checks = {one.name: one for one in judge.analysis(world.now).checks}
    assert checks["refusals"].samples.canary == checks["resource:cpu"].samples.canary == 0
    assert checks["errors"].samples.canary > 0


@pytest.mark.parametrize(
    "path",
    [
        ("unit",),
        ("weight",),
        ("seconds",),
        ("stable", "drift", "sum"),
        ("panel", "errors", "worse", "relative", "sums"),
        ("panel", "latency", "here"),
        ("exposed", "requests"),
        ("placebo", "factor"),
        ("panel", "hard_limit", "reports"),
        ("stable", "dispersion", "failed"),
        ("panel", "goals", "cart", "values"),
        ("warm",),
        ("goals_at_risk", "cart"),
        ("panel", "latency_bounds", "samples"),
        ("stable", "looks"),
        ("at_risk", "seen"),
        ("endpoints",),
    ],
)
def test_damaged_evidence_is_refused(path: tuple[str, ...]) -> None:
    world = JUDGED["everything"]()
    for damage in (7.5, "x", [1], {"y": 1}):
        data = stored(world.judge, world.now)
        if type(at(data, path)) is type(damage):
            continue
        at(data, path[:-1])[path[-1]] = damage
        if path == ("seconds",) and damage == 7.5:
            continue
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            fresh(world).restore(data, world.now)


@pytest.mark.parametrize(
    "path",
    [(), ("panel", "errors"), ("panel", "hard_limit"), ("panel", "goals", "cart"), ("panel", "externals", "load")],
)
def test_evidence_of_a_later_version_is_said_to_be_that(path: tuple[str, ...]) -> None:
    world = JUDGED["everything"]()
    data = stored(world.judge, world.now)
    assert at(data, path)["v"] == 1
    at(data, path)["v"] = 99
    with pytest.raises(TooNewError, match="version 99"):
        fresh(world).restore(data, world.now)
