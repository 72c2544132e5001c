"""Shares of the evidence, and what stands against going on."""

import pytest

from canaryproxy.analysis.latency import Past
from canaryproxy.analysis.panel import Panel, shares, verdict_of
from canaryproxy.analysis.rates import Block
from canaryproxy.analysis.spec import Errors, GoalSpec, Latency, Limits, Refusals, Resource, Spec
from canaryproxy.analysis.usage import Used


def test_the_evidence_is_the_mean_of_those_that_are_there() -> None:
    panel = Panel(Spec(latency=None), "request", Past())
    assert panel.errors is not None
    panel.errors.bet(Block(3, 3, 57, 0), 1)
    assert panel.evidence == panel.errors.harm > 100
    shared = Panel(Spec(goals=(GoalSpec("cart", on_harm="rollback"), GoalSpec("seen"))), "request", Past())
    assert shared.errors is not None
    shared.errors.bet(Block(3, 3, 57, 0), 1)
    assert abs(shared.evidence - (0.5 * shared.errors.harm + 0.5)) < 1e-6


def test_without_anything_to_judge_there_is_no_evidence() -> None:
    panel = Panel(Spec(errors=None, latency=None, refusals=None, limits=None), "request", Past())
    assert panel.evidence == 1
    assert [one.name for one in panel.findings] == ["sample-ratio"]


def test_a_split_that_is_off_holds() -> None:
    panel = Panel(Spec(), "request", Past())
    panel.sample_ratio.draw(100, 300, 500)
    verdict, reason = verdict_of(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert "the split is not what was asked for" in reason


def test_suspicion_holds() -> None:
    panel = Panel(Spec(latency=None), "request", Past())
    assert panel.errors is not None
    while panel.evidence < 10:
        panel.errors.bet(Block(10, 1, 190, 5), 1)
    verdict, reason = verdict_of(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert reason.startswith("suspicious: canary failed")


def test_fixed_bounds_are_there_where_they_are_wanted() -> None:
    spec = Spec(errors=Errors(limits=Limits(most=0.1)), latency=Latency(limits=Limits(times=2)))
    assert [one.name for one in Panel(spec, "user", Past()).bounds] == ["errors:limits", "latency:limits"]
    assert list(Panel(Spec(), "user", Past()).bounds) == []


def test_whatever_may_take_the_canary_back_has_a_share_and_does() -> None:
    refusals, cpu = Refusals(on_harm="rollback"), Resource("cpu", on_harm="rollback")
    panel = Panel(Spec(refusals=refusals, resources=(cpu,)), "request", Past())
    assert panel.refusals is not None
    assert shares(panel.spec) == {"errors": 0.5, "latency": 0.3, "refusals": 0.1, "resource:cpu": 0.1}
    while panel.refusals.finding().verdict != "fail":
        panel.refusals.bet(Block(10, 5, 190, 2), 1)
    verdict, reason = verdict_of(panel, panel.findings, weight=500, aim=500, drifting=False, judged=1000)
    assert (verdict, "answered 4xx to" in reason) == ("fail", True)
    alone = Panel(Spec(errors=None, latency=None, refusals=None, resources=(cpu,)), "request", Past())
    for number in range(8):
        alone.resources["cpu"].block(Used(2 + number / 100, 1.0, (50.0, 50.0)))
    assert verdict_of(alone, alone.findings, weight=500, aim=500, drifting=False, judged=1000)[0] == "fail"


@pytest.mark.parametrize("floor", [0.0, 0.0001, 0.2])
def test_every_floor_that_may_be_configured_can_be_judged_by(floor: float) -> None:
    panel = Panel(Spec(errors=Errors(tolerance=2.0, floor=floor), latency=Latency(tolerance=2.0)), "request", Past())
    assert panel.errors is not None
    for _ in range(200):
        panel.errors.bet(Block(10, 9, 190, 5), 1)
    assert panel.errors.finding().verdict == "fail"
    assert panel.findings


def test_all_of_the_traffic_waits_for_goals_and_resources_that_have_seen_enough() -> None:
    spec = Spec(errors=None, latency=None, goals=(GoalSpec("cart"),), resources=(Resource("cpu"),))
    panel = Panel(spec, "request", Past())

    def reason(aim: int) -> str:
        return verdict_of(panel, panel.findings, weight=5000, aim=aim, drifting=False, judged=1000)[1]

    assert reason(6000) == "nothing is shown to be worse"
    assert reason(10_000).startswith("goal:cart: differences are seldom seen before")
    panel.goals["cart"].look(Block(50_000, 500, 50_000, 500), ([1.0] * 500, [1.0] * 500))
    assert reason(10_000) == "resource:cpu: 5 more blocks of 5 min"
