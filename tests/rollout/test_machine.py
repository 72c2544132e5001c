"""The rollout machine: what may happen in which phase, and what never may."""

import itertools
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.machine import CONTROL_WEIGHT, QUIET_SECONDS, TABLE, followed, transition
from canaryproxy.rollout.plan import FULL_WEIGHT, Plan, Step
from canaryproxy.rollout.state import (
    UNDER_WAY,
    IllegalTransitionError,
    Kind,
    Notice,
    Observation,
    Phase,
    Rollout,
    RolloutEvent,
    Situation,
    Verb,
)

PLAN = Plan(tuple(Step(weight, 60.0) for weight in (100, 500, 2500, 5000, FULL_WEIGHT)))
NOTHING = Observation()
PASS, FAIL = (
    Observation("pass", "nothing is shown to be worse"),
    Observation("fail", "canary failed 13 of 640 requests"),
)
PHASES: tuple[Phase, ...] = get_args(Phase)
VERBS: tuple[Verb, ...] = get_args(Verb)


class Run:
    """A rollout that goes on."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.plan = plan
        self.state = Rollout()
        self.now = 1000.0
        self.notices: list[Notice] = []

    def do(
        self, kind: Kind, facts: Observation = NOTHING, *, wait: float = 0.0, full: bool = False, by: str = ""
    ) -> Rollout:
        self.now += wait
        self.state, data = transition(self.plan, self.state, RolloutEvent(kind, facts, full, by=by), self.now)
        self.notices.extend(data)
        return self.state

    def tick(self, facts: Observation, wait: float = 1.0) -> Rollout:
        return self.do("tick", facts, wait=wait)


def started(plan: Plan = PLAN) -> Run:
    run = Run(plan)
    run.do("start", by="ci")
    return run


def baking(plan: Plan = PLAN) -> Run:
    run = started(plan)
    run.do("promote", full=True)
    return run


def test_a_good_canary_climbs_step_by_step_bakes_and_succeeds() -> None:
    run = started()
    seen = [(run.state.phase, run.state.weight)]
    while run.state.phase != "succeeded":
        before = run.state
        run.tick(PASS)
        if (run.state.phase, run.state.weight) != (before.phase, before.weight):
            seen.append((run.state.phase, run.state.weight))
    assert seen == [
        ("progressing", 100),
        ("progressing", 500),
        ("progressing", 2500),
        ("progressing", 5000),
        ("baking", FULL_WEIGHT),
        ("succeeded", FULL_WEIGHT),
    ]
    assert run.now - 1000 == 4 * 60 + 300
    assert run.notices[0].words == "started by ci; step 1 of 5, the canary gets 1 %"
    assert run.notices[-1].words.startswith("succeeded: the canary has proven itself")


def test_a_step_lasts_its_time_and_until_the_verdict_is_a_pass() -> None:
    run = started()
    assert run.tick(PASS, 59).step == 0
    assert run.tick(Observation("inconclusive"), 100).step == 0
    assert run.tick(PASS).step == 1
    assert run.tick(PASS).step == 1


@pytest.mark.parametrize("phase", ["progressing", "paused", "baking"])
def test_a_failing_canary_is_taken_back_at_once_whatever_goes_on(phase: Phase) -> None:
    run = baking() if phase == "baking" else started()
    if phase == "paused":
        run.do("pause")
    assert run.state.phase == phase
    state = run.tick(FAIL)
    assert (state.phase, state.reason, state.weight, state.off) == ("rolled_back", "verdict", 0, True)
    assert "canary failed 13 of 640 requests" in run.notices[-1].words
    assert run.notices[-1].words.endswith(f"1.0 s after step {5 if phase == 'baking' else 1} of 5 began")
    assert run.notices[-1].severity == "critical"


def test_it_is_never_taken_back_onto_a_stable_that_is_ill_but_held() -> None:
    run = started()
    ill = replace(FAIL, stable_ill=True)
    assert (run.tick(ill).phase, run.state.reason, run.state.weight) == ("paused", "inconclusive", 100)
    assert run.notices[-1].severity == "critical"
    assert run.tick(ill).phase == "paused"
    assert run.tick(FAIL).phase == "rolled_back"


def test_an_operator_may_abort_all_the_same() -> None:
    run = started()
    run.tick(replace(FAIL, stable_ill=True))
    assert run.do("abort", by="jo").phase == "rolled_back"
    assert run.state.why == "aborted by jo"


def test_the_blast_radius_may_be_bounded() -> None:
    run = started(replace(PLAN, max_failed=20))
    assert run.tick(Observation("inconclusive", excess_failures=19.4)).phase == "progressing"
    assert run.tick(Observation("inconclusive", excess_failures=20.2)).reason == "max_failed"
    assert "failed 20 requests more than stable would have, 20 are allowed" in run.notices[-1].words


def test_a_dry_run_says_what_it_would_have_done_once_and_goes_on() -> None:
    run = started(replace(PLAN, dry_run=True))
    for _ in range(60):
        run.tick(FAIL)
    assert run.state.step == 1
    assert [one.words for one in run.notices if "would have" in one.words] == [
        "would have rolled back (dry run): canary failed 13 of 640 requests"
    ]


def test_a_dry_run_of_a_bake_goes_back_to_nothing() -> None:
    run = baking(replace(PLAN, dry_run=True))
    assert run.tick(replace(PASS, uncontrolled="canary failed 80 of 300")).weight == FULL_WEIGHT
    assert run.tick(replace(PASS, uncontrolled="canary failed 80 of 300"), 600).phase == "succeeded"


def test_a_pause_stops_the_advance_and_resume_goes_on_with_the_clock_running() -> None:
    run = started()
    run.do("pause", wait=30, by="jo")
    assert (run.state.phase, run.state.reason) == ("paused", "manual")
    assert run.tick(PASS, 100).phase == "paused"
    assert run.do("pause").reason == "manual"
    run.do("resume")
    assert run.tick(PASS).step == 1


def test_a_step_that_holds_waits_for_an_operator() -> None:
    run = started(replace(PLAN, steps=(Step(100, 60.0, hold=True), *PLAN.steps[1:])))
    assert run.tick(PASS, 61).reason == "step"
    assert run.do("promote").step == 1
    again = started(run.plan)
    again.tick(PASS, 61)
    again.do("resume")
    assert again.tick(PASS).step == 1


def test_a_gate_that_is_closed_pauses_and_one_that_opens_goes_on() -> None:
    run = started()
    closed = replace(PASS, gate="approval: it answered 403")
    assert run.tick(closed, 61).reason == "gate"
    assert run.state.why == "approval: it answered 403"
    assert run.tick(closed).phase == "paused"
    assert run.tick(PASS).phase == "progressing"
    assert run.tick(PASS).step == 1
    run.tick(closed, 61)
    assert run.do("pause", by="jo").why == "asked for by jo"
    assert run.tick(PASS).phase == "paused"


def test_a_step_may_take_three_times_what_was_expected_and_half_an_hour_in_any_case() -> None:
    run = started()
    run.tick(Observation("inconclusive", "needs more", estimate=30.0))
    assert run.state.timeout_at - run.state.step_since == 1800
    slow = started()
    slow.tick(Observation("inconclusive", "needs about 900 more", estimate=3600.0))
    assert slow.tick(Observation("inconclusive", "needs about 900 more"), 10_700).phase == "progressing"
    assert slow.tick(Observation("inconclusive", "needs about 900 more"), 200).reason == "timeout"
    assert slow.state.why == "this step took too long: needs about 900 more"
    slow.do("resume")
    assert slow.tick(Observation("inconclusive"), 500).phase == "progressing"


def test_what_follows_a_timeout_is_the_users_choice() -> None:
    run = started(replace(PLAN, step_timeout=120.0, on_timeout="abort"))
    assert run.tick(Observation("inconclusive"), 121).phase == "rolled_back"
    assert run.state.reason == "timeout"
    assert started(run.plan).tick(Observation("inconclusive", stable_ill=True), 121).phase == "paused"
    whole = started(replace(PLAN, max_duration=600.0))
    assert whole.tick(Observation("inconclusive"), 601).reason == "timeout"
    assert "the rollout took too long" in whole.notices[-1].words
    whole.do("resume")
    assert whole.tick(Observation("inconclusive"), 599).phase == "progressing"


def test_a_suspicious_bake_goes_back_to_half_to_compare_and_on_when_it_is_calm() -> None:
    run = baking()
    assert (run.state.phase, run.state.weight) == ("baking", FULL_WEIGHT)
    run.tick(Observation("pass", uncontrolled="errors 3 % where stable had 0.1 %"), 10)
    assert (run.state.phase, run.state.weight, run.state.reason) == ("baking", CONTROL_WEIGHT, "control")
    assert run.tick(PASS, QUIET_SECONDS - 1).weight == CONTROL_WEIGHT
    assert run.tick(PASS, 2).weight == FULL_WEIGHT
    assert run.tick(PASS, 299).phase == "baking"
    assert run.tick(PASS, 2).phase == "succeeded"


def test_a_second_suspicion_pauses_at_half() -> None:
    run = baking()
    alone = Observation("pass", uncontrolled="errors 3 %")
    run.tick(alone)
    run.tick(PASS, QUIET_SECONDS)
    state = run.tick(alone)
    assert (state.phase, state.reason, state.weight) == ("paused", "inconclusive", CONTROL_WEIGHT)
    assert "with all of the traffic, but not with half of it" in state.why
    assert run.do("resume").weight == FULL_WEIGHT
    assert run.do("promote").phase == "succeeded"


def test_beside_stable_again_a_bake_that_fails_is_taken_back() -> None:
    run = baking()
    run.tick(Observation("pass", uncontrolled="errors 60 %"))
    assert run.tick(FAIL).phase == "rolled_back"


def test_a_bake_stays_where_it_is_if_there_is_no_stable_to_compare_with() -> None:
    run = baking()
    assert run.tick(Observation("pass", uncontrolled="errors 60 %", stable_ill=True)).weight == FULL_WEIGHT


def test_it_may_be_taken_back_step_by_step_unless_there_is_no_time() -> None:
    run = started(replace(PLAN, ramp=10.0))
    run.do("promote")
    run.do("promote")
    assert (run.tick(FAIL).phase, run.state.weight, run.state.off) == ("rolled_back", 500, False)
    assert run.tick(FAIL, 9).weight == 500
    assert run.tick(PASS, 1).weight == 100
    assert (run.tick(PASS, 10).weight, run.state.off) == (0, True)
    for end in (RolloutEvent("abort"), RolloutEvent("tick", replace(FAIL, urgent=True))):
        again = started(run.plan)
        again.do("promote")
        again.tick(FAIL)
        assert again.state.weight == 100
        assert transition(again.plan, again.state, end, again.now)[0].off
    urgent = started(run.plan)
    urgent.do("promote")
    assert urgent.tick(replace(FAIL, urgent=True)).off


def test_another_canary_starts_over_at_the_first_step() -> None:
    run = started()
    run.tick(PASS, 61)
    run.do("pause")
    state = run.do("changed")
    assert (state.phase, state.reason, state.step, state.weight) == ("paused", "manual", 0, 100)
    assert run.do("resume").phase == "progressing"
    done = started()
    done.do("promote", full=True)
    assert done.do("promote").phase == "succeeded"
    assert (done.do("changed").phase, done.state.weight) == ("progressing", 100)
    idle = Run()
    assert idle.do("changed").phase == "idle"
    run.do("abort")
    assert run.do("changed").phase == "rolled_back"


def test_an_idle_route_is_aborted_only_where_something_reaches_its_canary() -> None:
    run = Run()
    assert run.do("abort").phase == "idle"
    state, _ = transition(PLAN, run.state, RolloutEvent("abort", reaches=True), 5.0)
    assert state.off


def test_what_was_taken_back_stays_until_an_operator_retries_or_resets() -> None:
    run = started()
    run.do("abort")
    for facts in (PASS, FAIL, Observation()):
        assert run.tick(facts, 10_000).phase == "rolled_back"
    assert run.do("abort").phase == "rolled_back"
    assert run.do("retry").step == 0
    run.do("abort")
    assert (run.do("reset").phase, run.state.weight, run.state.off) == ("idle", 0, False)


def test_a_latch_that_is_not_a_rollouts_is_ended_by_reset() -> None:
    state, data = transition(PLAN, Rollout(), RolloutEvent("reset", latched=True, by="jo"), 5.0)
    assert (state.phase, data[0].words) == ("idle", "reset by jo; all traffic goes to stable")
    with pytest.raises(IllegalTransitionError):
        transition(PLAN, Rollout(), RolloutEvent("reset"), 5.0)


@pytest.mark.parametrize(
    ("phase", "verbs"),
    [
        ("idle", {"start", "abort", "reset"}),
        ("progressing", {"pause", "promote", "abort", "start"}),
        ("paused", {"pause", "resume", "promote", "abort", "start"}),
        ("baking", {"pause", "promote", "abort", "start"}),
        ("succeeded", {"abort", "reset", "start"}),
        ("rolled_back", {"abort", "retry", "reset", "start"}),
    ],
)
def test_each_phase_knows_its_verbs_and_names_them(phase: Phase, verbs: set[str]) -> None:
    for verb in VERBS:
        if verb in verbs:
            state = Rollout(phase, step=0, weight=100, identity=RolloutIdentity("one", "v1"))
            transition(PLAN, state, RolloutEvent(verb, latched=True, identity=RolloutIdentity("two", "v2")), 5.0)
            continue
        with pytest.raises(
            IllegalTransitionError, match=f"a rollout that is {phase} knows: {', '.join(sorted(verbs))}"
        ):
            transition(PLAN, Rollout(phase, step=0, weight=100), RolloutEvent(verb), 5.0)


def test_a_plan_of_the_whole_alone_is_a_switch_that_bakes() -> None:
    run = started(Plan((Step(FULL_WEIGHT, 0.0),)))
    assert (run.state.phase, run.state.weight) == ("baking", FULL_WEIGHT)


FACTS = st.builds(
    Observation,
    st.sampled_from(("pass", "fail", "inconclusive")),
    st.just("words"),
    st.floats(0, 30),
    st.sampled_from(("", "", "", "suspicious")),
    st.booleans(),
    st.sampled_from(("", "", "closed")),
    st.sampled_from((0.0, 50.0, 5000.0)),
    st.sampled_from((0.0, 5.0)),
    st.booleans(),
)
PLANS = st.builds(
    Plan,
    st.lists(st.integers(1, FULL_WEIGHT - 1), max_size=5, unique=True).flatmap(
        lambda weights: st.tuples(
            *(
                st.builds(Step, st.just(one), st.floats(0, 120), st.booleans())
                for one in (*sorted(weights), FULL_WEIGHT)
            )
        )
    ),
    st.floats(0, 600),
    st.none() | st.floats(1, 600),
    st.sampled_from(("pause", "abort")),
    st.floats(100, 5000),
    st.none() | st.integers(1, 40),
    st.just("manual"),
    st.booleans(),
    st.none() | st.floats(1, 100),
)


VERSIONS = st.sampled_from(("", "", "v1", "v2"))


class AnyRollout(RuleBasedStateMachine):
    """Any plan, any order of verbs, ticks and changes."""

    @initialize(plan=PLANS)
    def begin(self, plan: Plan) -> None:
        self.plan, self.state, self.now = plan, Rollout(), 1000.0

    def happen(self, event: RolloutEvent) -> None:
        before = self.state
        given = Situation(followed(self.plan, before), before, event, self.now)
        rows = [row for row in TABLE if row.kind == event.kind and before.phase in row.phases]
        try:
            self.state, _ = transition(self.plan, before, event, self.now)
        except IllegalTransitionError:
            assert event.kind not in ("tick", "changed", "named", "abort")
            assert not any(row.guard(given) for row in rows)
            return
        row = next((one for one in rows if one.guard(given)), None)
        if row is None:
            assert self.state is before
        else:
            assert self.state.phase in row.to
        self.unearned(before, event)

    def unearned(self, before: Rollout, event: RolloutEvent) -> None:
        """What must never come of anything."""
        after = self.state
        same = before.identity.same_canary(event.identity)
        another = same is False or (same is None and (before.reason != "manual" or bool(event.identity.given)))
        starts = event.kind == "start" and another
        if before.phase == "rolled_back" and event.kind not in ("retry", "reset", "named") and not starts:
            assert replace(after, weight=0, since=0) == replace(before, weight=0, since=0)
            assert after.weight <= before.weight
        if event.kind == "tick":
            if after.weight > before.weight and before.phase != "baking":
                assert event.observation.verdict == "pass" or self.plan.dry_run
                assert before.step is not None
                assert after.step == before.step + 1
                assert self.now - before.step_since - event.observation.lost >= self.plan.steps[before.step].dwell
            if event.observation.verdict == "fail" and not event.observation.stable_ill and not self.plan.dry_run:
                assert after.phase not in UNDER_WAY
            assert after.phase != "succeeded" or before.phase in ("baking", "succeeded")
        if event.kind == "abort" and before.phase != "idle":
            assert after.off
            assert after.weight == 0

    @rule(facts=FACTS, wait=st.sampled_from((0.2, 1.0, 30.0, 61.0, 700.0)))
    def tick(self, facts: Observation, wait: float) -> None:
        self.now += wait
        self.happen(RolloutEvent("tick", facts))

    @rule(verb=st.sampled_from(VERBS), full=st.booleans(), reaches=st.booleans(), given=VERSIONS, announced=VERSIONS)
    def verb(self, verb: Verb, full: bool, reaches: bool, given: str, announced: str) -> None:
        identity = RolloutIdentity(f"{self.now}", given, announced)
        self.happen(RolloutEvent(verb, full=full, reaches=reaches, by="jo", identity=identity))

    @precondition(lambda self: self.state.phase == "idle")
    @rule()
    def start(self) -> None:
        self.happen(RolloutEvent("start"))

    @rule()
    def changed(self) -> None:
        self.happen(RolloutEvent("changed"))

    @invariant()
    def makes_sense(self) -> None:
        state = getattr(self, "state", None)
        if state is None:
            return
        assert state.off == (state.phase == "rolled_back" and not state.weight)
        if state.phase == "idle" or (state.phase == "rolled_back" and self.plan.ramp is None):
            assert state.weight == 0
        if state.phase == "progressing":
            assert state.weight == self.plan.steps[state.step].weight < FULL_WEIGHT
        if state.phase == "baking":
            assert state.weight in (FULL_WEIGHT, CONTROL_WEIGHT)
            assert state.step == len(self.plan.steps) - 1
        if state.phase == "paused":
            assert state.reason in ("manual", "step", "gate", "timeout", "inconclusive")
            assert state.weight > 0
        if state.phase == "succeeded":
            assert state.weight == FULL_WEIGHT


TestAnyRollout = AnyRollout.TestCase
TestAnyRollout.settings = settings(stateful_step_count=50)


def test_no_row_of_the_table_is_out_of_reach() -> None:
    situations = itertools.product(PHASES, get_args(Kind))
    assert {(phase, row.kind) for row in TABLE for phase in row.phases} <= set(situations)
    for number, row in enumerate(TABLE):
        shadows = [one for one in TABLE[:number] if one.kind == row.kind and not one.when]
        assert not any(set(row.phases) <= set(one.phases) for one in shadows), row.when
