"""What `start` does where a rollout has been before."""

from dataclasses import replace

import pytest

from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import FULL_WEIGHT, Plan, Step
from canaryproxy.rollout.state import UNDER_WAY, IllegalTransitionError, Observation, Rollout, RolloutEvent, Verb

PLAN = Plan((Step(100, 60.0), Step(5000, 60.0), Step(FULL_WEIGHT, 60.0)))
BAD = Observation("fail", "canary failed 13 of 640 requests")


def do(state: Rollout, verb: Verb, *identity: str) -> Rollout:
    return transition(PLAN, state, RolloutEvent(verb, by="ci", identity=RolloutIdentity(*identity)), 1000.0)[0]


def taken_back(*identity: str, by: str = "judge") -> Rollout:
    state = do(Rollout(), "start", *identity)
    if by == "judge":
        return transition(PLAN, state, RolloutEvent("tick", BAD), 1001.0)[0]
    return do(state, "abort")


@pytest.mark.parametrize("by", ["judge", "person"])
def test_after_a_rollback_the_next_version_starts(by: str) -> None:
    state = do(taken_back("one", "v1", by=by), "start", "two", "v2")
    assert (state.phase, state.step, state.weight, state.identity) == (
        "progressing",
        0,
        100,
        RolloutIdentity("two", "v2"),
    )
    announced = do(taken_back("one", "", "1.0", by=by), "start", "two", "", "1.1")
    assert announced.identity.canary == "1.1"


@pytest.mark.parametrize("by", ["judge", "person"])
def test_the_same_version_needs_another_word(by: str) -> None:
    state = taken_back("one", "v1", by=by)
    with pytest.raises(
        IllegalTransitionError, match=r"v1 was rolled back \((verdict|manual): .*`retry` tries it again"
    ):
        do(state, "start", "two", "v1")
    assert do(state, "retry", "two", "v1").phase == "progressing"


def test_where_no_one_knows_the_version_only_what_the_judge_took_back_starts() -> None:
    assert do(taken_back("one"), "start", "two").phase == "progressing"
    with pytest.raises(
        IllegalTransitionError, match=r"aborted by an operator \(aborted by ci\).*name the version, or `retry`"
    ):
        do(taken_back("one", by="person"), "start", "two")
    with pytest.raises(IllegalTransitionError):
        do(taken_back("one", "v1", by="person"), "start", "two")


def test_who_names_the_version_as_advised_is_not_refused_again() -> None:
    for state in (taken_back("one", by="person"), do(Rollout(), "start", "one")):
        with pytest.raises(IllegalTransitionError, match="name the version"):
            do(state, "start", "two")
        named = do(state, "start", "two", "v2")
        assert (named.phase, named.step, named.identity) == ("progressing", 0, RolloutIdentity("two", "v2"))
        assert do(named, "start", "three", "v2") is named


def test_an_abort_of_an_idle_route_knows_what_it_was_about() -> None:
    idle = RolloutEvent("abort", reaches=True, by="jo", identity=RolloutIdentity("one", "", "1.0"))
    state = transition(PLAN, Rollout(), idle, 1.0)[0]
    with pytest.raises(IllegalTransitionError):
        do(state, "start", "two", "", "1.0")
    assert do(state, "start", "two", "", "1.1").phase == "progressing"


def test_after_a_success_another_version_starts_and_the_same_one_does_not() -> None:
    state = do(do(do(Rollout(), "start", "one", "v1"), "promote"), "promote")
    state = do(state, "promote")
    assert state.phase == "succeeded"
    assert do(state, "start", "two", "v1") is state
    nameless = replace(state, identity=RolloutIdentity("one", "", "1.0"))
    with pytest.raises(IllegalTransitionError, match=r"1\.0 has succeeded already: update stable, then `reset`"):
        do(nameless, "start", "two", "", "1.0")
    assert do(state, "start", "two", "v2").weight == 100
    assert do(state, "start", "two").weight == 100


@pytest.mark.parametrize("phase", sorted(UNDER_WAY))
def test_another_version_takes_the_place_of_one_under_way(phase: str) -> None:
    state = do(do(Rollout(), "start", "one", "v1"), "promote")
    if phase == "baking":
        state = do(state, "promote")
    if phase == "paused":
        state = do(state, "pause")
    assert state.phase == phase
    after, data = transition(PLAN, state, RolloutEvent("start", by="ci", identity=RolloutIdentity("two", "v2")), 1000.0)
    assert (after.phase, after.step, after.weight) == ("paused" if phase == "paused" else "progressing", 0, 100)
    assert data[0].words == (
        "started by ci: rollout two of v2, in place of rollout one of v1; step 1 of 3, the canary gets 1 %"
    )


def test_the_same_version_by_name_is_the_rollout_that_is_under_way() -> None:
    state = do(Rollout(), "start", "one", "v1")
    assert do(state, "start", "two", "v1") is state


def test_a_second_start_without_a_name_is_refused_and_says_how() -> None:
    state = do(Rollout(), "start", "one", "", "1.0")
    for announced in ("1.0", ""):
        with pytest.raises(
            IllegalTransitionError, match=r"a rollout is progressing already: rollout one of 1\.0; .*name the version"
        ):
            do(state, "start", "two", "", announced)


def test_a_reset_remembers_which_one_it_was_and_lifts_every_latch() -> None:
    state = do(taken_back("one", "v1", by="person"), "reset")
    assert (state.phase, state.identity.id) == ("idle", "one")
    assert do(state, "start", "two", "v1").phase == "progressing"


def test_a_canary_that_changes_is_another_rollout() -> None:
    state = do(Rollout(), "start", "one", "", "1.0")
    after, data = transition(PLAN, state, RolloutEvent("changed", identity=RolloutIdentity("two", "", "1.1")), 1.0)
    assert after.identity.id == "two"
    assert "rollout two of 1.1, in place of rollout one of 1.0" in data[0].words
    named = transition(PLAN, state, RolloutEvent("named", identity=replace(state.identity, stable="0.9")), 1.0)
    assert (named[0].identity.stable, named[0].step, named[1]) == ("0.9", 0, ())


@pytest.mark.parametrize("verb", ["pause", "promote", "abort", "reset", "retry", "resume"])
def test_a_verb_may_be_meant_for_one_rollout_alone(verb: Verb) -> None:
    states = {"pause": do(Rollout(), "start", "one"), "resume": do(do(Rollout(), "start", "one"), "pause")}
    state = states.get(verb, states["pause"] if verb in ("promote", "abort") else taken_back("one"))
    transition(PLAN, state, RolloutEvent(verb, only="one"), 1.0)
    with pytest.raises(IllegalTransitionError, match=f"rollout two is over: now it is rollout one, {state.phase}"):
        transition(PLAN, state, RolloutEvent(verb, only="two"), 1.0)
    with pytest.raises(IllegalTransitionError, match="rollout one is over: no rollout is there now"):
        transition(PLAN, do(taken_back("one"), "reset"), RolloutEvent(verb, only="one"), 1.0)
