"""The rollout state machine: one table of the events that are legal in each phase, and of what follows. Pure.

`transition` takes a state, an event and the time, and returns the next state with its notices. The data plane follows
two values of the state: the weight, and whether the canary is off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from canaryproxy.rollout.plan import FULL_WEIGHT, Plan
from canaryproxy.rollout.starting import REMOVED, is_another, may_begin, refusal, removed_text, repeated, was_removed
from canaryproxy.rollout.state import (
    UNDER_WAY,
    IllegalTransitionError,
    Kind,
    Notice,
    Phase,
    Rollout,
    RolloutEvent,
    Severity,
    Situation,
    step_text,
)

# Half and half: the comparison that needs the least time.
# Weight of the canary, in basis points, while a suspicious bake is compared with stable again.
CONTROL_WEIGHT = FULL_WEIGHT // 2

# Seconds without suspicion after which a bake returns to full weight.
QUIET_SECONDS = 60.0

# Without `step_timeout` a step times out after this many times its estimated duration, and at least half an hour.
MIN_TIMEOUT_SECONDS = 1800.0
TIMEOUT_FACTOR = 3.0

# Events that no operator asks for: ignored in a phase that has no row for them.
NOTICED: tuple[Kind, ...] = ("tick", "changed", "named", "edited", "removed", "added")

# Events that adopt the plan of the config in place of the steps that the rollout has.
PLAN_CHANGED: tuple[Kind, ...] = ("start", "retry", "changed", "edited")

Outcome = tuple[Rollout, tuple[Notice, ...]]
Guard = Callable[[Situation], bool]
Action = Callable[[Situation], Outcome]


@dataclass(frozen=True, slots=True)
class Row:
    """In one of `phases`, if `kind` happens and `guard` holds, `act` returns the next state, whose phase is one of
    `to`. `when` names the guard in the diagram of docs/rollouts.md.
    """

    phases: tuple[Phase, ...]
    kind: Kind
    when: str
    guard: Guard
    act: Action
    to: tuple[Phase, ...]


def transition(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> Outcome:
    """The next state and its notices, at `now` in seconds since 1970. Raises `IllegalTransitionError` for a verb that
    is not legal in this phase.
    """
    if event.only and (event.only != state.identity.id or state.phase == "idle"):
        raise IllegalTransitionError(removed_text(state, event.only))
    # The caller's plan may be older than an edit that the rollout has adopted.
    given = Situation(plan if event.kind in PLAN_CHANGED else followed(plan, state), state, event, now)
    for row in TABLE:
        if row.kind == event.kind and state.phase in row.phases and row.guard(given):
            return row.act(given)
    if event.kind in NOTICED:
        return state, ()
    raise IllegalTransitionError("; ".join(filter(None, (refusal(state, event), known(state.phase)))))


def followed(plan: Plan, state: Rollout) -> Plan:
    """The plan with the steps of the rollout under way: the caller may have read the plan before an edit of the config
    that the rollout has adopted since.
    """
    return replace(plan, steps=state.steps) if state.steps and state.moves else plan


def known(phase: Phase) -> str:
    """The legal verbs of a phase, as a sentence."""
    return f"a rollout that is {phase} knows: {', '.join(sorted(legal(phase) - set(NOTICED)))}"


def legal(phase: Phase) -> frozenset[Kind]:
    """Events with a row for this phase, whatever their guards say."""
    return frozenset(row.kind for row in TABLE if phase in row.phases)


# Guards.


def _always(_: Situation) -> bool:
    return True


def _reaches_canary(given: Situation) -> bool:
    # A latch counts as reaching: it ends with the next weight, and the state behind it may come back.
    return given.event.reaches or given.event.latched


def _latched(given: Situation) -> bool:
    return given.event.latched


def _fails(given: Situation) -> bool:
    seen, allowed = given.event.observation, given.plan.max_failed
    return seen.verdict == "fail" or (allowed is not None and seen.excess_failures >= allowed)


def _fails_dry(given: Situation) -> bool:
    return given.plan.dry_run and not given.state.warned and _fails(given)


def _fails_without_refuge(given: Situation) -> bool:
    return not given.plan.dry_run and given.event.observation.stable_ill and _fails(given)


def _fails_truly(given: Situation) -> bool:
    return not given.plan.dry_run and not given.event.observation.stable_ill and _fails(given)


def _too_long(given: Situation) -> bool:
    return given.now - given.state.began >= given.plan.max_duration


def _late(given: Situation) -> bool:
    return bool(given.state.timeout_at and given.now >= given.state.timeout_at) or _too_long(given)


def _estimable(given: Situation) -> bool:
    return not given.state.timeout_at and given.event.observation.estimate > 0


def _supervised(given: Situation) -> float:
    """Seconds of this step with supervision."""
    return given.now - given.state.step_since - given.event.observation.lost


def _done(given: Situation) -> bool:
    """The step has lasted for its dwell, and the verdict lets it end."""
    passed = given.event.observation.verdict == "pass" or given.plan.dry_run
    return passed and _supervised(given) >= given.step.dwell


def _held(given: Situation) -> bool:
    return _done(given) and given.step.hold and not given.state.released


def _gated(given: Situation) -> bool:
    return _done(given) and bool(given.event.observation.gate)


def _gate_closed(given: Situation) -> bool:
    return given.state.reason == "gate"


def _gate_opens(given: Situation) -> bool:
    return _gate_closed(given) and not given.event.observation.gate and not _fails(given)


def _suspicious(given: Situation) -> bool:
    seen = given.event.observation
    uncontrolled = given.state.weight == FULL_WEIGHT and bool(seen.uncontrolled)
    return uncontrolled and not seen.stable_ill and not given.plan.dry_run


def _suspicious_again(given: Situation) -> bool:
    return _suspicious(given) and given.state.controls > 0


def _calm(given: Situation) -> bool:
    failed = given.event.observation.verdict == "fail"
    return given.state.reason == "control" and not failed and _supervised(given) >= QUIET_SECONDS


def _baked(given: Situation) -> bool:
    calm = given.plan.dry_run or not given.event.observation.uncontrolled
    return given.state.weight == FULL_WEIGHT and calm and _supervised(given) >= given.plan.bake


def _paused_bake(given: Situation) -> bool:
    return given.state.before == "baking"


def _ramping_down(given: Situation) -> bool:
    return given.state.weight > 0


def _lowers(given: Situation) -> bool:
    waited = given.now - given.state.since >= (given.plan.ramp or 0.0)
    return _ramping_down(given) and (given.event.observation.urgent or waited)


# Actions.


def _start(given: Situation) -> Outcome:
    return _at(given, _first(given), 0, f"started{_by(given.event)}{_named(given.event)}")


def _restart(given: Situation) -> Outcome:
    """A pause that an operator asked for stays."""
    state, event = given.state, given.event
    words = "the canary changed: restarted" if event.kind == "changed" else f"started{_by(event)}"
    if state.identity.id and state.identity.id != event.identity.id:
        words += f"{_named(event)}, in place of {state.identity}"
    after, notices = _at(given, _first(given), 0, words)
    if state.phase == "paused" and state.reason == "manual":
        after = replace(after, phase="paused", reason=state.reason, why=state.why, before=after.phase)
    return after, notices


def _first(given: Situation) -> Rollout:
    return Rollout(phase="progressing", steps=given.plan.steps, began=given.now, identity=given.event.identity)


def _at(given: Situation, state: Rollout, number: int, words: str) -> Outcome:
    """Enter a step."""
    plan, now, step = given.plan, given.now, given.plan.steps[number]
    phase: Phase = "baking" if step.weight == FULL_WEIGHT else "progressing"
    timeout = 0.0 if plan.step_timeout is None else now + max(plan.step_timeout, step.dwell)
    after = replace(_cleared(state, phase, now), step=number, weight=step.weight, step_since=now, timeout_at=timeout)
    after = replace(after, released=False, controls=0)
    return after, (Notice("info", f"{words}; {step_text(after)}, the canary gets {step.weight / 100:g} %"),)


def _cleared(state: Rollout, phase: Phase, now: float) -> Rollout:
    """In a phase that needs no reason, from now on."""
    return replace(state, phase=phase, reason="", why="", since=now)


def _next(given: Situation) -> Outcome:
    event, last = given.event, len(given.plan.steps) - 1
    words = f"promoted{_by(event)}" if event.kind == "promote" else event.observation.why or "the step has passed"
    return _at(given, given.state, last if event.full else min((given.state.step or 0) + 1, last), words)


def _estimated(given: Situation) -> Outcome:
    expected = max(given.event.observation.estimate, given.step.dwell)
    timeout = max(MIN_TIMEOUT_SECONDS, TIMEOUT_FACTOR * expected)
    return replace(given.state, timeout_at=given.state.step_since + timeout), ()


def _pause(given: Situation, reason: str, why: str, severity: Severity, weight: int | None = None) -> Outcome:
    state = given.state
    before = state.before if state.phase == "paused" else state.phase
    weight = state.weight if weight is None else weight
    after = replace(state, phase="paused", reason=reason, why=why, since=given.now, before=before, weight=weight)
    return after, (Notice(severity, f"paused at {weight / 100:g} %: {why}"),)


def _pause_asked(given: Situation) -> Outcome:
    return _pause(given, "manual", f"asked for{_by(given.event)}", "info")


def _pause_held(given: Situation) -> Outcome:
    return _pause(given, "step", "the plan holds here until an operator promotes", "warning")


def _pause_gate(given: Situation) -> Outcome:
    return _pause(given, "gate", given.event.observation.gate, "info")


def _pause_without_refuge(given: Situation) -> Outcome:
    why = f"stable has no healthy endpoint to roll back to; {given.event.observation.why}"
    return _pause(given, "inconclusive", why, "critical")


def _pause_bake(given: Situation) -> Outcome:
    why = f"suspicious again with all of the traffic, but not with half of it: {given.event.observation.uncontrolled}"
    return _pause(given, "inconclusive", why, "critical", CONTROL_WEIGHT)


def _resume(given: Situation) -> Outcome:
    state, now = _resumed(given, "progressing"), given.now
    left = max(state.timeout_at - given.state.since, 0.0) if given.state.reason != "timeout" else 0.0
    after = replace(state, released=True, timeout_at=now + left if left else 0.0)
    return after, (Notice("info", f"resumed{_by(given.event)} at {after.weight / 100:g} %"),)


def _resume_bake(given: Situation) -> Outcome:
    after = replace(_resumed(given, "baking"), step_since=given.now, weight=FULL_WEIGHT, controls=0)
    return after, (Notice("info", f"resumed{_by(given.event)}; the canary gets 100 %"),)


def _resumed(given: Situation, phase: Phase) -> Rollout:
    """After a timeout the whole duration starts over, else the rollout would time out again at once."""
    began = given.now if given.state.reason == "timeout" else given.state.began
    return replace(_cleared(given.state, phase, given.now), began=began)


def _timeout(given: Situation) -> Outcome:
    seen = given.event.observation
    what = "the rollout" if _too_long(given) else "this step"
    why = f"{what} took too long: {seen.why or 'there are no results yet'}"
    if given.plan.on_timeout == "abort" and not seen.stable_ill and not given.plan.dry_run:
        return _roll_back(given, "timeout", why)
    return _pause(given, "timeout", why, "warning")


def _roll_back(given: Situation, reason: str, why: str) -> Outcome:
    state = given.state
    after = replace(state, phase="rolled_back", reason=reason, why=why, weight=0, since=given.now, timeout_at=0.0)
    where = f" at {state.weight / 100:g} %" if state.weight else ""
    spent = _duration_text(given.now - state.step_since)
    since = f"; {spent} after {step_text(state)} began" if state.step is not None else ""
    severity: Severity = "warning" if reason == "manual" else "critical"
    return after, (Notice(severity, f"rolled back{where}: {why}{since}"),)


def _fail(given: Situation) -> Outcome:
    seen, plan = given.event.observation, given.plan
    reason, why = "verdict", seen.why
    if seen.verdict != "fail":
        more = f"{seen.excess_failures:.0f} requests more than stable would have"
        reason, why = "max_failed", f"the canary failed {more}, {plan.max_failed} are allowed"
    after, notices = _roll_back(given, reason, why)
    if plan.ramp is None or seen.urgent:
        return after, notices
    return replace(after, weight=_below(given)), notices


def _below(given: Situation) -> int:
    """The highest weight of the plan below the present one, 0 if there is none."""
    return max((step.weight for step in given.plan.steps if step.weight < given.state.weight), default=0)


def _lower(given: Situation) -> Outcome:
    weight = 0 if given.event.observation.urgent else _below(given)
    words = f"rolling back step by step: the canary gets {weight / 100:g} %"
    return replace(given.state, weight=weight, since=given.now), (Notice("info", words),)


def _off(given: Situation) -> Outcome:
    words = f"aborted{_by(given.event)} while rolling back: the canary gets nothing"
    return replace(given.state, weight=0, since=given.now), (Notice("warning", words),)


def _warn(given: Situation) -> Outcome:
    words = f"would have rolled back (dry run): {given.event.observation.why}"
    return replace(given.state, warned=True), (Notice("warning", words),)


def _abort(given: Situation) -> Outcome:
    event = given.event
    if given.state.phase == "idle":
        given = replace(given, state=replace(given.state, identity=event.identity))
    if event.kind == "removed":
        return _roll_back(given, REMOVED, event.observation.why or "the canary was removed")
    return _roll_back(given, "manual", f"aborted{_by(event)}")


def stay(given: Situation) -> Outcome:
    """No change and no notice."""
    return given.state, ()


def _control(given: Situation) -> Outcome:
    state, now, why = given.state, given.now, given.event.observation.uncontrolled
    after = replace(state, reason="control", why=why, since=now, step_since=now)
    after = replace(after, weight=CONTROL_WEIGHT, controls=state.controls + 1)
    return after, (Notice("warning", f"half of the traffic is back on stable, to compare: {why}"),)


def _bake_on(given: Situation) -> Outcome:
    after = replace(_cleared(given.state, "baking", given.now), weight=FULL_WEIGHT, step_since=given.now)
    return after, (Notice("info", "compared with stable the canary is no worse; it gets 100 % again"),)


def _succeed(given: Situation) -> Outcome:
    event, now = given.event, given.now
    words = f"promoted{_by(event)}" if event.kind == "promote" else "the canary has proven itself"
    after = replace(_cleared(given.state, "succeeded", now), why=words, weight=FULL_WEIGHT, timeout_at=0.0)
    return after, (Notice("info", f"succeeded: {words}; update stable, then reset"),)


def _reset(given: Situation) -> Outcome:
    words, waiting = "all traffic goes to stable", given.event.waiting
    if waiting is not None:
        words = f"the file's weight of {waiting / 100:g} %, which waited, now applies"
    after = Rollout(since=given.now, identity=given.state.identity)
    return after, (Notice("info", f"reset{_by(given.event)}; {words}"),)


def _name(given: Situation) -> Outcome:
    return replace(given.state, identity=given.event.identity), ()


def _replan(given: Situation) -> Outcome:
    """Steps before the present one stay, steps after it are those of the new plan; the present one keeps its weight."""
    state, plan = given.state, given.plan
    number = state.step or 0
    here = next((one for one in plan.steps if one.weight == state.steps[number].weight), state.steps[number])
    ahead = tuple(one for one in plan.steps if one.weight > here.weight)
    timeout = 0.0 if plan.step_timeout is None else state.step_since + max(plan.step_timeout, here.dwell)
    after = replace(state, steps=(*state.steps[:number], here, *ahead), timeout_at=timeout)
    then = f"then {', '.join(f'{one.weight / 100:g} %' for one in ahead)}" if ahead else "the last one"
    words = f"the plan of the config changed: {step_text(after)} stays at {state.weight / 100:g} %, {then}"
    return after, (Notice("info", words),)


def _by(event: RolloutEvent) -> str:
    return f" by {event.by}" if event.by else ""


def _named(event: RolloutEvent) -> str:
    return f": {event.identity}" if event.identity.id else ""


def _duration_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


# Phases in which a rollout is under way, is under way and not paused, or sends the canary traffic.
MOVES: tuple[Phase, ...] = ("progressing", "paused", "baking")
RUNS: tuple[Phase, ...] = ("progressing", "baking")
SENDS: tuple[Phase, ...] = (*MOVES, "succeeded")

# Rows may overlap: the first one whose guard holds applies, so their order matters.
TABLE: tuple[Row, ...] = (
    # Verbs of an operator.
    Row(("idle",), "start", "", _always, _start, RUNS),
    Row(("rolled_back", "succeeded"), "start", "another version", may_begin, _start, RUNS),
    Row(MOVES, "start", "another version", is_another, _restart, MOVES),
    Row(SENDS, "start", "this very version", repeated, stay, SENDS),
    Row(("rolled_back",), "retry", "", _always, _start, RUNS),
    Row(("rolled_back", "succeeded"), "reset", "", _always, _reset, ("idle",)),
    Row(("idle",), "reset", "latched", _latched, _reset, ("idle",)),
    Row(RUNS, "pause", "", _always, _pause_asked, ("paused",)),
    Row(("paused",), "pause", "a gate is closed", _gate_closed, _pause_asked, ("paused",)),
    Row(("paused",), "pause", "", _always, stay, ("paused",)),
    Row(("paused",), "resume", "a bake was paused", _paused_bake, _resume_bake, ("baking",)),
    Row(("paused",), "resume", "", _always, _resume, ("progressing",)),
    Row(("paused",), "promote", "a bake was paused", _paused_bake, _succeed, ("succeeded",)),
    Row(("progressing", "paused"), "promote", "", _always, _next, RUNS),
    Row(("baking",), "promote", "", _always, _succeed, ("succeeded",)),
    Row(SENDS, "abort", "", _always, _abort, ("rolled_back",)),
    Row(("idle",), "abort", "canary reachable or latched", _reaches_canary, _abort, ("rolled_back",)),
    Row(("rolled_back",), "abort", "while rolling back", _ramping_down, _off, ("rolled_back",)),
    Row(("idle", "rolled_back"), "abort", "", _always, stay, ("idle", "rolled_back")),
    # Events that the control plane notices. Protection comes first, in every phase that sends the canary traffic.
    Row(SENDS, "changed", "", _always, _restart, MOVES),
    Row(MOVES, "named", "", _always, _name, MOVES),
    *(Row((phase,), "edited", "", _always, _replan, (phase,)) for phase in sorted(UNDER_WAY)),
    Row(MOVES, "tick", "the canary fails in a dry run", _fails_dry, _warn, MOVES),
    Row(MOVES, "tick", "the canary fails", _fails_truly, _fail, ("rolled_back",)),
    Row(("rolled_back",), "tick", "while rolling back", _lowers, _lower, ("rolled_back",)),
    Row(RUNS, "tick", "canary and stable fail", _fails_without_refuge, _pause_without_refuge, ("paused",)),
    Row(("baking",), "tick", "suspicious for the second time", _suspicious_again, _pause_bake, ("paused",)),
    Row(("baking",), "tick", "suspicious", _suspicious, _control, ("baking",)),
    Row(("baking",), "tick", "calm beside stable", _calm, _bake_on, ("baking",)),
    Row(("baking",), "tick", "baked", _baked, _succeed, ("succeeded",)),
    Row(("progressing",), "tick", "duration estimated", _estimable, _estimated, ("progressing",)),
    Row(("progressing",), "tick", "passed, and the plan holds", _held, _pause_held, ("paused",)),
    Row(("progressing",), "tick", "passed, and a gate is closed", _gated, _pause_gate, ("paused",)),
    Row(("progressing",), "tick", "passed", _done, _next, RUNS),
    Row(("progressing",), "tick", "took too long", _late, _timeout, ("paused", "rolled_back")),
    Row(("paused",), "tick", "the gate opens", _gate_opens, _resume, ("progressing",)),
    Row(MOVES, "removed", "", _always, _abort, ("rolled_back",)),
    Row(("rolled_back",), "removed", "while rolling back", _ramping_down, _off, ("rolled_back",)),
    Row(("succeeded",), "removed", "", _always, _reset, ("idle",)),
    Row(("rolled_back",), "added", "it ended because the canary was removed", was_removed, _reset, ("idle",)),
)
