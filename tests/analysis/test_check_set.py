"""Shares of the evidence, and what stands against going on."""

import pytest

from canaryproxy.analysis.check_set import CheckSet, overall_verdict, shares
from canaryproxy.analysis.spec import (
    AnalysisSpec,
    ClientErrors,
    ErrorSpec,
    FixedLimits,
    GoalSpec,
    LatencySpec,
    ResourceSpec,
)
from canaryproxy.analysis.stats.rank_tests import StableHistory
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.analysis.usage import UsageBlock


def test_the_evidence_is_the_mean_of_those_that_are_there() -> None:
    panel = CheckSet(AnalysisSpec(latency=None), "request", StableHistory())
    assert panel.errors is not None
    panel.errors.bet(Block(3, 3, 57, 0), 1)
    assert panel.evidence == panel.errors.harm > 100
    shared = CheckSet(
        AnalysisSpec(goals=(GoalSpec("cart", on_failure="rollback"), GoalSpec("seen"))), "request", StableHistory()
    )
    assert shared.errors is not None
    shared.errors.bet(Block(3, 3, 57, 0), 1)
    assert abs(shared.evidence - (0.5 * shared.errors.harm + 0.5)) < 1e-6


def test_without_anything_to_judge_there_is_no_evidence() -> None:
    panel = CheckSet(
        AnalysisSpec(errors=None, latency=None, client_errors=None, limits=None), "request", StableHistory()
    )
    assert panel.evidence == 1
    assert [one.name for one in panel.findings] == ["sample-ratio"]


def test_a_split_that_is_off_holds() -> None:
    panel = CheckSet(AnalysisSpec(), "request", StableHistory())
    panel.sample_ratio.draw(100, 300, 500)
    verdict, reason = overall_verdict(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert "the split is not what was asked for" in reason


def test_suspicion_holds() -> None:
    panel = CheckSet(AnalysisSpec(latency=None), "request", StableHistory())
    assert panel.errors is not None
    while panel.evidence < 10:
        panel.errors.bet(Block(10, 1, 190, 5), 1)
    verdict, reason = overall_verdict(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert reason.startswith("suspicious: canary failed")


def test_fixed_bounds_are_there_where_they_are_wanted() -> None:
    spec = AnalysisSpec(errors=ErrorSpec(limits=FixedLimits(max=0.1)), latency=LatencySpec(limits=FixedLimits(times=2)))
    assert [one.name for one in CheckSet(spec, "user", StableHistory()).bounds] == ["errors:limits", "latency:limits"]
    assert list(CheckSet(AnalysisSpec(), "user", StableHistory()).bounds) == []


def test_whatever_may_take_the_canary_back_has_a_share_and_does() -> None:
    refusals, cpu = ClientErrors(on_failure="rollback"), ResourceSpec("cpu", on_failure="rollback")
    panel = CheckSet(AnalysisSpec(client_errors=refusals, resources=(cpu,)), "request", StableHistory())
    assert panel.client_errors is not None
    assert shares(panel.spec) == {"errors": 0.5, "latency": 0.3, "refusals": 0.1, "resource:cpu": 0.1}
    while panel.client_errors.finding().verdict != "fail":
        panel.client_errors.bet(Block(10, 5, 190, 2), 1)
    verdict, reason = overall_verdict(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert (verdict, "answered 4xx to" in reason) == ("fail", True)
    alone = CheckSet(
        AnalysisSpec(errors=None, latency=None, client_errors=None, resources=(cpu,)), "request", StableHistory()
    )
    for number in range(8):
        alone.resources["cpu"].block(UsageBlock(2 + number / 100, 1.0, (50.0, 50.0)))
    assert overall_verdict(alone, alone.findings, weight=500, aim=500, drifting=False, judged=1000)[0] == "fail"


@pytest.mark.parametrize("floor", [0.0, 0.0001, 0.2])
def test_every_floor_that_may_be_configured_can_be_judged_by(floor: float) -> None:
    panel = CheckSet(
        AnalysisSpec(errors=ErrorSpec(tolerance=2.0, floor=floor), latency=LatencySpec(tolerance=2.0)),
        "request",
        StableHistory(),
    )
    assert panel.errors is not None
    for _ in range(200):
        panel.errors.bet(Block(10, 9, 190, 5), 1)
    assert panel.errors.finding().verdict == "fail"
    assert panel.findings


def test_all_of_the_traffic_waits_for_goals_and_resources_that_have_seen_enough() -> None:
    spec = AnalysisSpec(errors=None, latency=None, goals=(GoalSpec("cart"),), resources=(ResourceSpec("cpu"),))
    panel = CheckSet(spec, "request", StableHistory())

    def reason(aim: int) -> str:
        return overall_verdict(panel, panel.findings, weight=5000, aim=aim, drifting=False, judged=1000)[1]

    assert reason(6000) == "nothing is shown to be worse"
    assert reason(10_000).startswith("goal:cart: differences are seldom seen before")
    panel.goals["cart"].look(Block(50_000, 500, 50_000, 500), ([1.0] * 500, [1.0] * 500))
    assert reason(10_000) == "resource:cpu: 5 more blocks of 5 min"
