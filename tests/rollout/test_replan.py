"""A plan that is edited under way: what lies behind stays, what lies ahead follows."""

from contextlib import suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import FULL_WEIGHT, Plan, Step
from canaryproxy.rollout.state import IllegalTransitionError, Kind, Observation, Phase, Rollout, RolloutEvent

WEIGHTS = st.sets(st.integers(1, FULL_WEIGHT - 1), max_size=8).map(lambda found: (*sorted(found), FULL_WEIGHT))
PLANS = st.builds(
    lambda weights, dwell, timeout: Plan(tuple(Step(one, dwell) for one in weights), step_timeout=timeout),
    WEIGHTS,
    st.floats(0, 1e4),
    st.none() | st.floats(1, 1e5),
)


@given(PLANS, PLANS, st.data())
def test_the_share_of_now_stays_and_the_plan_still_rises_to_the_whole(
    was: Plan, now: Plan, data: st.DataObject
) -> None:
    begun = transition(was, Rollout(), RolloutEvent("start"), 100.0)[0]
    step = data.draw(st.integers(0, len(was.steps) - 1))
    weight = was.steps[step].weight
    phase: Phase = "baking" if weight == FULL_WEIGHT else "progressing"
    at = replace(begun, step=step, weight=weight, phase=phase)
    after, document = transition(now, at, RolloutEvent("edited"), 200.0)
    weights = [one.weight for one in after.steps]
    assert (after.step, after.weight, after.phase, after.since) == (step, weight, phase, at.since)
    assert weights == sorted(set(weights))
    assert weights[-1] == FULL_WEIGHT
    assert after.steps[:step] == at.steps[:step]
    assert [one for one in after.steps[step:] if one.weight > weight] == [s for s in now.steps if s.weight > weight]
    assert f"step {step + 1} of {len(weights)} stays" in document[0].words
    assert transition(now, after, RolloutEvent("edited"), 300.0)[0] == after
    assert after.timeout_at == 0.0 if now.step_timeout is None else after.timeout_at >= 100.0 + now.step_timeout


@given(
    PLANS, PLANS, st.sampled_from(["promote", "tick", "pause", "resume", "abort", "named"]), st.booleans(), st.data()
)
def test_no_event_takes_a_rollout_beyond_its_own_steps_whatever_plan_it_was_made_for(
    was: Plan, now: Plan, kind: Kind, full: bool, data: st.DataObject
) -> None:
    """A call that waited for its turn while the config was edited."""
    begun = transition(now, Rollout(), RolloutEvent("start"), 100.0)[0]
    step = data.draw(st.integers(0, len(now.steps) - 1))
    weight = now.steps[step].weight
    moving: list[Phase] = ["progressing", "paused"] if weight < FULL_WEIGHT else ["baking"]
    phase = data.draw(st.sampled_from(moving))
    at = replace(begun, step=step, weight=weight, phase=phase)
    with suppress(IllegalTransitionError):
        after = transition(was, at, RolloutEvent(kind, Observation("pass"), full=full), 1e9)[0]
        assert after.steps == now.steps
        assert after.step is not None
        assert after.step < len(after.steps)
        if after.phase == "progressing":
            assert after.weight == after.steps[after.step].weight
