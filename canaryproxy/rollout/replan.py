"""A rollout under way whose plan is another one by the config. Pure."""

from dataclasses import replace

from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import Kind, Notice, Rollout, RolloutEvent, failure_text

PLAN_CHANGED: tuple[Kind, ...] = ("start", "retry", "changed", "edited")
"""What goes by the steps of another plan than the rollout has."""


def followed(plan: Plan, state: Rollout) -> Plan:
    """The plan with the steps that a rollout under way has: a plan may have been made before an edit that the rollout
    follows by now.
    """
    return replace(plan, steps=state.steps) if state.steps and state.moves else plan


def replan(plan: Plan, state: Rollout, _: RolloutEvent, __: float) -> tuple[Rollout, tuple[Notice, ...]]:
    """What lies behind stays as it was, what lies ahead is as the plan says now; the step of now keeps its weight."""
    number = state.step or 0
    here = next((one for one in plan.steps if one.weight == state.steps[number].weight), state.steps[number])
    ahead = tuple(one for one in plan.steps if one.weight > here.weight)
    patience = 0.0 if plan.step_timeout is None else state.step_since + max(plan.step_timeout, here.dwell)
    after = replace(state, steps=(*state.steps[:number], here, *ahead), timeout_at=patience)
    then = f"then {', '.join(f'{one.weight / 100:g} %' for one in ahead)}" if ahead else "the last one"
    words = f"the plan of the config changed: {failure_text(after)} stays at {state.weight / 100:g} %, {then}"
    return after, (Notice("info", words),)
