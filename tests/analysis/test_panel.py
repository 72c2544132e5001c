"""Shares of the evidence, and what stands against going on."""

from canaryproxy.analysis.panel import Panel, verdict_of
from canaryproxy.analysis.rates import Block
from canaryproxy.analysis.spec import Errors, GoalSpec, Latency, Limits, Spec


def test_the_evidence_is_the_mean_of_those_that_are_there() -> None:
    panel = Panel(Spec(latency=None), "request")
    assert panel.errors is not None
    panel.errors.bet(Block(3, 3, 57, 0), 1)
    assert panel.evidence == panel.errors.harm > 100
    shared = Panel(Spec(goals=(GoalSpec("cart", on_harm="rollback"), GoalSpec("seen"))), "request")
    assert shared.errors is not None
    shared.errors.bet(Block(3, 3, 57, 0), 1)
    assert abs(shared.evidence - (0.5 * shared.errors.harm + 0.5)) < 1e-6
    assert "evidence" in repr(shared)


def test_without_anything_to_judge_there_is_no_evidence() -> None:
    panel = Panel(Spec(errors=None, latency=None, refusals=None, limits=None), "request")
    assert panel.evidence == 1
    assert [one.name for one in panel.findings] == ["sample-ratio"]


def test_a_split_that_is_off_holds() -> None:
    panel = Panel(Spec(), "request")
    panel.sample_ratio.draw(100, 300, 500)
    verdict, reason = verdict_of(panel, panel.findings, weight=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert "the split is not what was asked for" in reason


def test_suspicion_holds() -> None:
    panel = Panel(Spec(latency=None), "request")
    assert panel.errors is not None
    while panel.evidence < 10:
        panel.errors.bet(Block(10, 1, 190, 5), 1)
    verdict, reason = verdict_of(panel, panel.findings, weight=500, drifting=False, judged=1000)
    assert verdict == "inconclusive"
    assert reason.startswith("suspicious: canary failed")


def test_fixed_bounds_are_there_where_they_are_wanted() -> None:
    spec = Spec(errors=Errors(limits=Limits(most=0.1)), latency=Latency(limits=Limits(times=2)))
    assert [one.name for one in Panel(spec, "user").bounds] == ["errors:limits", "latency:limits"]
    assert list(Panel(Spec(), "user").bounds) == []
