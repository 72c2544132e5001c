"""The analysis section as the judge has it."""

import pytest

from canaryproxy.analysis.spec import AnalysisSpec, FixedLimits, GoalSpec
from canaryproxy.config import Config, parse
from canaryproxy.model.rule import Condition


def config(analysis: str, goals: str = "[]") -> Config:
    text = f"routes: {{shop: {{stable: 'http://a', canary: 'http://b', goals: {goals}, analysis: {analysis}}}}}"
    return parse(text, "f", {})


def spec(analysis: str, goals: str = "[]") -> AnalysisSpec:
    found = config(analysis, goals).routes["shop"].spec
    assert found is not None
    return found


def test_left_out_or_empty_it_is_the_defaults() -> None:
    assert spec("{}") == AnalysisSpec()
    assert parse("stable: http://a\ncanary: http://b\n", "f", {}).routes["default"].spec == AnalysisSpec()


@pytest.mark.parametrize("off", ["off", "none", "false", "null"])
def test_off_is_no_judge_at_all(off: str) -> None:
    assert config(off).routes["shop"].spec is None
    assert config(off).routes["shop"].excluded == ()
    assert spec(f"{{errors: {off}, latency: {off}, refusals: {off}, limits: {off}}}") == AnalysisSpec(
        errors=None, latency=None, client_errors=None, limits=None
    )


def test_percentages_are_ratios_and_shares() -> None:
    found = spec("{confidence: 99.9%, errors: {tolerance: 20%, floor: 0.5%, statuses: [5xx, 429]}, unit: request}")
    assert found.errors is not None
    assert (found.errors.tolerance, found.errors.floor) == (1.2, 0.005)
    assert found.errors.statuses == ((500, 599), (429, 429))
    assert found.alarm == pytest.approx(1000)
    assert found.unit == "request"


def test_fixed_bounds_are_there_where_they_are_wanted() -> None:
    found = spec(
        "{errors: {max: 5%, max_ratio_to_stable: 2}, latency: {quantile: p95, max: 500ms, max_ratio_to_stable: 1.5}}"
    )
    assert found.errors is not None
    assert found.latency is not None
    assert (found.errors.limits, found.latency.limits) == (FixedLimits(0.05, 2.0), FixedLimits(0.5, 1.5))
    assert found.latency.q == 0.95
    assert not AnalysisSpec().errors.limits  # type: ignore[union-attr]
    assert spec("{errors: {max: none, max_ratio_to_stable: off}, latency: {max: none}}") == AnalysisSpec()


def test_goals_hold_unless_configured_otherwise() -> None:
    found = spec(
        "{goals: [{goal: revenue, tolerance: 2%, on_failure: rollback}]}",
        "[{name: cart}, {name: revenue, header: x-value}]",
    )
    assert found.goals == (GoalSpec("cart"), GoalSpec("revenue", 1.02, "rollback", valued=True))


def test_what_is_excluded_is_reported_by_path_and_by_agent() -> None:
    route = config("{exclude: {paths: [/healthz], user_agents: [kube-probe]}}").routes["shop"]
    assert route.excluded == (
        Condition("path", "prefix", ("/healthz",)),
        Condition("header", "prefix", ("kube-probe",), "user-agent"),
    )
