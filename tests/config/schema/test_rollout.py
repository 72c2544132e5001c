"""Plans as a config writes them."""

import pytest

from canaryproxy.config import ConfigError, parse
from canaryproxy.config.schema.rollout import RolloutConfig, expected_seconds, steps, steps_text
from canaryproxy.rollout.plan import Plan, Step


def rollout(text: str) -> RolloutConfig:
    config = parse(f"{{stable: 'http://a:1', canary: 'http://b:1', rollout: {{{text}}}}}", "f", {})
    return config.routes["default"].rollout


def test_an_empty_one_is_the_default_plan() -> None:
    plan = rollout("").plan(0.0)
    assert [step.weight for step in plan.steps] == [100, 500, 2500, 5000, 10_000]
    assert {step.dwell for step in plan.steps} == {60.0}
    assert (plan.bake, plan.start, plan.on_timeout, plan.step_timeout) == (300.0, "manual", "pause", None)
    assert parse("{stable: 'http://a:1', canary: 'http://b:1'}", "f", {}).routes["default"].rollout.plan(0.0) == plan


def test_steps_have_times_of_their_own_and_hold() -> None:
    plan = rollout("steps: [0.25, {weight: 5%, for: 10m}, {weight: 50, hold: true}, 100], every: 30s").plan(0.0)
    assert plan == Plan((Step(25, 30.0), Step(500, 600.0), Step(5000, 30.0, hold=True), Step(10_000, 30.0)))


def test_a_step_may_have_rules_and_a_mirror_of_its_own_and_then_no_weight() -> None:
    found = rollout(
        "steps: [{weight: 0, for: 10m, mirror: {percent: 10}, rules: [{name: staff, headers: {x: '1'}, to: canary}]}, 5, 100]"
    )
    assert [step.weight for step in found.plan(0.0).steps] == [0, 500, 10_000]
    extras = found.extras(0)
    assert extras is not None
    assert (extras.rules.rules[0].name, extras.mirror is not None) == ("staff", True)
    assert found.extras(500) is None
    assert found.extras(700) is None
    assert found.rule_names == {rule.name for rule in extras.rules.rules}
    assert rollout("steps: auto").extras(0) is None


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("{weight: 0, rules: [{name: a, to: nowhere}]}", r"\[0\].to: expected stable or canary"),
        ("{weight: 0, rules: [{name: a, to: canary, what: 1}]}", r"\[0\].what: is not a known key"),
        ("{weight: 0, rules: [{name: a, to: canary}, {name: a, to: canary}]}", "2 rules named a"),
        ("{weight: 0, mirror: {percent: 101}}", "percent: expected"),
        ("{weight: 0}", "without rules or a mirror needs a weight above 0"),
    ],
)
def test_what_is_wrong_with_a_steps_parts_is_said(steps: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rollout(f"steps: [{steps}, 100]")


def test_a_steps_rule_has_a_name_that_no_rule_of_the_route_has() -> None:
    text = (
        "{stable: 'http://a:1', canary: 'http://b:1', rules: [{name: a, headers: {x: '1'}, to: canary}], "
        "rollout: {steps: [{weight: 0, rules: [{name: a, to: canary}]}, 100]}}"
    )
    with pytest.raises(ConfigError, match="a rule a of the route and of a step of `rollout`"):
        parse(text, "f", {})


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("{from: 10, to: 50, by: 20}", [1000, 3000, 5000, 10_000]),
        ("{curve: exponential, count: 3}", [100, 1000, 10_000]),
        ("auto", [1084, 3252, 5000, 10_000]),
    ],
)
def test_shapes_are_resolved_by_the_traffic_at_the_start(text: str, weights: list[int]) -> None:
    found = rollout(f"steps: {text}")
    assert [step.weight for step in found.plan(100.0).steps] == weights
    assert steps_text(found.steps) == text


def test_how_it_is_written_is_read_again() -> None:
    assert steps_text(steps([1, 5, 0.25 + 99.75])) == "[1, 5, 100]"


def test_the_judge_wants_proof_above_what_the_rollout_says() -> None:
    config = parse("{stable: 'http://a:1', canary: 'http://b:1', rollout: {prove_above: 20%}}", "f", {})
    spec = config.routes["default"].spec
    assert spec is not None
    assert spec.prove_above == 2000


def test_a_rollout_without_judgement_has_to_be_said() -> None:
    config = parse("{stable: 'http://a:1', canary: 'http://b:1', rollout: {}, analysis: off}", "f", {})
    assert config.routes["default"].spec is None


def test_a_step_takes_as_long_as_its_requests_take_to_come() -> None:
    assert expected_seconds(60.0, 100, 1600, 10.0) == 16_000
    assert expected_seconds(60.0, 5000, 100, 300.0) == 60
    assert expected_seconds(60.0, 5000, 100, 0.0) == float("inf")
