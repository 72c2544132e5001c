"""The rollout machine: one table of what may happen in which phase, and what comes of it. Pure.

`transition` is given what is, what happened and the time (seconds since 1970), and returns what is then and what there
is to say. What the traffic has to follow stands in the state itself: the weight, and whether the canary is off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from canaryproxy.rollout.plan import FULL_WEIGHT, Plan
from canaryproxy.rollout.replan import PLAN_CHANGED, followed, replan
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
    failure_text,
    lasted,
)

CONTROL_SECONDS = FULL_WEIGHT // 2
"""The weight that a suspicious bake goes back to, so that there is something to compare with again."""

QUIET_SECONDS = 60.0
"""Seconds without suspicion after which a bake goes on at the whole."""
MIN_TIMEOUT_SECONDS = 1800.0
PATIENCE_SECONDS = 3.0
"""A step may take this many times what was expected, and half an hour in any case."""

NOTICE_SECONDS: tuple[Kind, ...] = ("tick", "changed", "named", "edited", "removed", "added")
"""What no operator asks for: where the phase does not know it, nothing comes of it."""

Guard = Callable[[Plan, Rollout, RolloutEvent, float], bool]
Act = Callable[[Plan, Rollout, RolloutEvent, float], tuple[Rollout, tuple[Notice, ...]]]


@dataclass(frozen=True, slots=True)
class Row:
    """In one of these phases, when this happens and `guard` holds, `act` says what is next: one of `to`. `when` are the
    guard's words.
    """

    phases: tuple[Phase, ...]
    kind: Kind
    when: str
    guard: Guard
    act: Act
    to: tuple[Phase, ...]


def transition(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    """What is next, and what there is to tell. Raises `IllegalTransitionError` for a verb that the phase does not
    know.
    """
    if event.only and (event.only != state.identity.id or state.phase == "idle"):
        raise IllegalTransitionError(removed_text(state, event.only))
    plan = plan if event.kind in PLAN_CHANGED else followed(plan, state)
    for row in TABLE:
        if row.kind == event.kind and state.phase in row.phases and row.guard(plan, state, event, now):
            return row.act(plan, state, event, now)
    if event.kind in NOTICE_SECONDS:
        return state, ()
    raise IllegalTransitionError("; ".join(filter(None, (refusal(state, event), known(state.phase)))))


def known(phase: Phase) -> str:
    """The verbs of a phase, in a sentence."""
    return f"a rollout that is {phase} knows: {', '.join(sorted(legal(phase) - set(NOTICE_SECONDS)))}"


def legal(phase: Phase) -> frozenset[Kind]:
    """What may happen in a phase, whatever else has to hold."""
    return frozenset(row.kind for row in TABLE if phase in row.phases)


# When.


def _always(_: Plan, __: Rollout, ___: RolloutEvent, ____: float) -> bool:
    return True


def _reaches_canary(_: Plan, __: Rollout, event: RolloutEvent, ___: float) -> bool:
    """Also what is latched: the latch ends with the next weight, and the state behind it may come back."""
    return event.reaches or event.latched


def _latched(_: Plan, __: Rollout, event: RolloutEvent, ___: float) -> bool:
    return event.latched


def _fails(plan: Plan, _: Rollout, event: RolloutEvent, __: float) -> bool:
    return event.observation.verdict == "fail" or (
        plan.max_failed is not None and event.observation.excess_failures >= plan.max_failed
    )


def _fails_dry(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return plan.dry_run and not state.warned and _fails(plan, state, event, now)


def _fails_without_refuge(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return not plan.dry_run and event.observation.stable_ill and _fails(plan, state, event, now)


def _fails_truly(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return not plan.dry_run and not event.observation.stable_ill and _fails(plan, state, event, now)


def _late(plan: Plan, state: Rollout, _: RolloutEvent, now: float) -> bool:
    return bool(state.timeout_at and now >= state.timeout_at) or now - state.began >= plan.max_duration


def _estimable(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> bool:
    return not state.timeout_at and event.observation.estimate > 0


def _watched(state: Rollout, event: RolloutEvent, now: float) -> float:
    """Seconds of this step with supervision."""
    return now - state.step_since - event.observation.lost


def _done(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    """The step has lasted long enough, and nothing stands against leaving it."""
    dwell = plan.steps[state.step or 0].dwell
    return _watched(state, event, now) >= dwell and (event.observation.verdict == "pass" or plan.dry_run)


def _held(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return _done(plan, state, event, now) and plan.steps[state.step or 0].hold and not state.released


def _gated(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return _done(plan, state, event, now) and bool(event.observation.gate)


def _gate_opens(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return state.reason == "gate" and not event.observation.gate and not _fails(plan, state, event, now)


def _suspicious(plan: Plan, state: Rollout, event: RolloutEvent, __: float) -> bool:
    alone = state.weight == FULL_WEIGHT and bool(event.observation.uncontrolled)
    return alone and not event.observation.stable_ill and not plan.dry_run


def _suspicious_again(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return _suspicious(plan, state, event, now) and state.controls > 0


def _calm(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return (
        state.reason == "control"
        and event.observation.verdict != "fail"
        and _watched(state, event, now) >= QUIET_SECONDS
    )


def _baked(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    calm = plan.dry_run or not event.observation.uncontrolled
    return state.weight == FULL_WEIGHT and calm and _watched(state, event, now) >= plan.bake


def _gate_closed(_: Plan, state: Rollout, __: RolloutEvent, ___: float) -> bool:
    return state.reason == "gate"


def _paused_bake(_: Plan, state: Rollout, __: RolloutEvent, ___: float) -> bool:
    return state.before == "baking"


def _on_its_way(_: Plan, state: Rollout, __: RolloutEvent, ___: float) -> bool:
    return state.weight > 0


def _lowers(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> bool:
    return state.weight > 0 and (event.observation.urgent or now - state.since >= (plan.ramp or 0.0))


# What comes of it.


def _start(plan: Plan, _: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    first = Rollout(phase="progressing", steps=plan.steps, began=now, identity=event.identity)
    return _at(plan, first, 0, now, f"started{_by(event)}{_named(event)}")


def _restart(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    """A manual pause stays one."""
    first = Rollout(phase="progressing", steps=plan.steps, began=now, identity=event.identity)
    words = "the canary is another one: restarted" if event.kind == "changed" else f"started{_by(event)}"
    if state.identity.id and state.identity.id != event.identity.id:
        words += f"{_named(event)}, in place of {state.identity}"
    after, notice = _at(plan, first, 0, now, words)
    if state.phase == "paused" and state.reason == "manual":
        after = replace(after, phase="paused", reason=state.reason, why=state.why, before=after.phase)
    return after, notice


def _at(plan: Plan, state: Rollout, step: int, now: float, words: str) -> tuple[Rollout, tuple[Notice, ...]]:
    """Go to a step."""
    weight = plan.steps[step].weight
    phase: Phase = "baking" if weight == FULL_WEIGHT else "progressing"
    after = replace(
        state,
        phase=phase,
        reason="",
        why="",
        step=step,
        weight=weight,
        since=now,
        step_since=now,
        timeout_at=0.0 if plan.step_timeout is None else now + max(plan.step_timeout, plan.steps[step].dwell),
        released=False,
        controls=0,
    )
    return after, (Notice("info", f"{words}; {failure_text(after)}, the canary gets {weight / 100:g} %"),)


def _next(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    words = f"promoted{_by(event)}" if event.kind == "promote" else event.observation.why or "the step has passed"
    step = len(plan.steps) - 1 if event.full else min((state.step or 0) + 1, len(plan.steps) - 1)
    return _at(plan, state, step, now, words)


def _estimated(plan: Plan, state: Rollout, event: RolloutEvent, _: float) -> tuple[Rollout, tuple[Notice, ...]]:
    dwell = plan.steps[state.step or 0].dwell
    patience = max(MIN_TIMEOUT_SECONDS, PATIENCE_SECONDS * max(event.observation.estimate, dwell))
    return replace(state, timeout_at=state.step_since + patience), ()


def _pause(state: Rollout, now: float, reason: str, why: str, severity: Severity) -> tuple[Rollout, tuple[Notice, ...]]:
    before = state.before if state.phase == "paused" else state.phase
    after = replace(state, phase="paused", reason=reason, why=why, since=now, before=before)
    return after, (Notice(severity, f"paused at {state.weight / 100:g} %: {why}"),)


def _pause_asked(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    return _pause(state, now, "manual", f"asked for{_by(event)}", "info")


def _pause_held(_: Plan, state: Rollout, __: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    return _pause(state, now, "step", "the plan holds here until an operator promotes", "warning")


def _pause_gate(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    return _pause(state, now, "gate", event.observation.gate, "info")


def _pause_without_refuge(
    _: Plan, state: Rollout, event: RolloutEvent, now: float
) -> tuple[Rollout, tuple[Notice, ...]]:
    why = f"stable has no healthy endpoint to go back to; {event.observation.why}"
    return _pause(state, now, "inconclusive", why, "critical")


def _pause_bake(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    why = f"suspicious again with all of the traffic, and not with half of it: {event.observation.uncontrolled}"
    return _pause(replace(state, weight=CONTROL_SECONDS), now, "inconclusive", why, "critical")


def _resume(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    left = max(state.timeout_at - state.since, 0.0) if state.reason != "timeout" else 0.0
    after = replace(
        state,
        phase="progressing",
        reason="",
        why="",
        since=now,
        released=True,
        timeout_at=now + left if left else 0.0,
        began=now if state.reason == "timeout" else state.began,
    )
    return after, (Notice("info", f"resumed{_by(event)} at {state.weight / 100:g} %"),)


def _resume_bake(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    after = replace(
        state,
        phase="baking",
        reason="",
        why="",
        since=now,
        step_since=now,
        weight=FULL_WEIGHT,
        controls=0,
        began=now if state.reason == "timeout" else state.began,
    )
    return after, (Notice("info", f"resumed{_by(event)}; the canary gets 100 %"),)


def _timeout(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    whole = now - state.began >= plan.max_duration
    why = f"{'the rollout' if whole else 'this step'} took too long: {event.observation.why or 'nothing is known'}"
    if plan.on_timeout == "abort" and not event.observation.stable_ill and not plan.dry_run:
        return _back(state, now, "timeout", why)
    return _pause(state, now, "timeout", why, "warning")


def _back(state: Rollout, now: float, reason: str, why: str) -> tuple[Rollout, tuple[Notice, ...]]:
    after = replace(state, phase="rolled_back", reason=reason, why=why, weight=0, since=now, timeout_at=0.0)
    where = f" at {state.weight / 100:g} %" if state.weight else ""
    since = f"; {lasted(now - state.step_since)} after {failure_text(state)} began" if state.step is not None else ""
    severity: Severity = "warning" if reason == "manual" else "critical"
    return after, (Notice(severity, f"rolled back{where}: {why}{since}"),)


def _taken_back(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    reason, why = "verdict", event.observation.why
    if event.observation.verdict != "fail":
        more = f"{event.observation.excess_failures:.0f} requests more than stable would have"
        reason, why = "max_failed", f"the canary failed {more}, {plan.max_failed} are allowed"
    after, notice = _back(state, now, reason, why)
    if plan.ramp is None or event.observation.urgent:
        return after, notice
    return replace(after, weight=_below(plan, state.weight)), notice


def _below(plan: Plan, weight: int) -> int:
    """The highest weight of the plan below this one, 0 where there is none."""
    return max((step.weight for step in plan.steps if step.weight < weight), default=0)


def _lower(plan: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    weight = 0 if event.observation.urgent else _below(plan, state.weight)
    return replace(state, weight=weight, since=now), (
        Notice("info", f"on the way back: the canary gets {weight / 100:g} %"),
    )


def _off(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    after = replace(state, weight=0, since=now)
    return after, (Notice("warning", f"aborted{_by(event)} on the way back: the canary gets nothing"),)


def _would_be_taken_back(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> tuple[Rollout, tuple[Notice, ...]]:
    return replace(state, warned=True), (
        Notice("warning", f"would have rolled back (dry run): {event.observation.why}"),
    )


def _abort(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    if state.phase == "idle":
        state = replace(state, identity=event.identity)
    if event.kind == "removed":
        return _back(state, now, REMOVED, event.observation.why or "the canary was removed")
    return _back(state, now, "manual", f"aborted{_by(event)}")


def stay(_: Plan, state: Rollout, __: RolloutEvent, ___: float) -> tuple[Rollout, tuple[Notice, ...]]:
    """Nothing comes of it."""
    return state, ()


def _control(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    after = replace(
        state,
        reason="control",
        why=event.observation.uncontrolled,
        weight=CONTROL_SECONDS,
        since=now,
        step_since=now,
        controls=state.controls + 1,
    )
    return after, (
        Notice("warning", f"half of the traffic is back on stable, to compare: {event.observation.uncontrolled}"),
    )


def _bake_on(_: Plan, state: Rollout, __: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    after = replace(state, reason="", why="", weight=FULL_WEIGHT, since=now, step_since=now)
    return after, (Notice("info", "beside stable the canary is no worse; it gets 100 % again"),)


def _succeed(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    words = f"promoted{_by(event)}" if event.kind == "promote" else "the canary has proven itself"
    after = replace(state, phase="succeeded", reason="", why=words, weight=FULL_WEIGHT, since=now, timeout_at=0.0)
    return after, (Notice("info", f"succeeded: {words}; update stable, then reset"),)


def _reset(_: Plan, state: Rollout, event: RolloutEvent, now: float) -> tuple[Rollout, tuple[Notice, ...]]:
    words = "all traffic goes to stable"
    if event.waiting is not None:
        words = f"the file's weight of {event.waiting / 100:g} %, which waited, holds now"
    return Rollout(since=now, identity=state.identity), (Notice("info", f"reset{_by(event)}; {words}"),)


def _name(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> tuple[Rollout, tuple[Notice, ...]]:
    return replace(state, identity=event.identity), ()


def _by(event: RolloutEvent) -> str:
    return f" by {event.by}" if event.by else ""


def _named(event: RolloutEvent) -> str:
    return f": {event.identity}" if event.identity.id else ""


TABLE: tuple[Row, ...] = (
    # Verbs of an operator.
    Row(("idle",), "start", "", _always, _start, ("progressing", "baking")),
    Row(("rolled_back", "succeeded"), "start", "another version", may_begin, _start, ("progressing", "baking")),
    Row(
        ("progressing", "paused", "baking"),
        "start",
        "another version",
        is_another,
        _restart,
        ("progressing", "paused", "baking"),
    ),
    Row(
        ("progressing", "paused", "baking", "succeeded"),
        "start",
        "this very version",
        repeated,
        stay,
        ("progressing", "paused", "baking", "succeeded"),
    ),
    Row(("rolled_back",), "retry", "", _always, _start, ("progressing", "baking")),
    Row(("rolled_back", "succeeded"), "reset", "", _always, _reset, ("idle",)),
    Row(("idle",), "reset", "latched", _latched, _reset, ("idle",)),
    Row(("progressing", "baking"), "pause", "", _always, _pause_asked, ("paused",)),
    Row(("paused",), "pause", "a gate is closed", _gate_closed, _pause_asked, ("paused",)),
    Row(("paused",), "pause", "", _always, stay, ("paused",)),
    Row(("paused",), "resume", "a bake was paused", _paused_bake, _resume_bake, ("baking",)),
    Row(("paused",), "resume", "", _always, _resume, ("progressing",)),
    Row(("paused",), "promote", "a bake was paused", _paused_bake, _succeed, ("succeeded",)),
    Row(("progressing", "paused"), "promote", "", _always, _next, ("progressing", "baking")),
    Row(("baking",), "promote", "", _always, _succeed, ("succeeded",)),
    Row(("progressing", "paused", "baking", "succeeded"), "abort", "", _always, _abort, ("rolled_back",)),
    Row(
        ("idle",), "abort", "something reaches the canary, or it is latched", _reaches_canary, _abort, ("rolled_back",)
    ),
    Row(("rolled_back",), "abort", "on its way back", _on_its_way, _off, ("rolled_back",)),
    Row(("idle", "rolled_back"), "abort", "", _always, stay, ("idle", "rolled_back")),
    # What is noticed. Protection first, in every phase that sends the canary anything.
    Row(
        ("progressing", "paused", "baking", "succeeded"),
        "changed",
        "",
        _always,
        _restart,
        ("progressing", "paused", "baking"),
    ),
    Row(("progressing", "paused", "baking"), "named", "", _always, _name, ("progressing", "paused", "baking")),
    *(Row((phase,), "edited", "", _always, replan, (phase,)) for phase in sorted(UNDER_WAY)),
    Row(
        ("progressing", "paused", "baking"),
        "tick",
        "the canary fails, dry run",
        _fails_dry,
        _would_be_taken_back,
        ("progressing", "paused", "baking"),
    ),
    Row(("progressing", "paused", "baking"), "tick", "the canary fails", _fails_truly, _taken_back, ("rolled_back",)),
    Row(("rolled_back",), "tick", "on its way back", _lowers, _lower, ("rolled_back",)),
    Row(
        ("progressing", "baking"),
        "tick",
        "it fails, and stable is ill",
        _fails_without_refuge,
        _pause_without_refuge,
        ("paused",),
    ),
    Row(("baking",), "tick", "suspicious for the second time", _suspicious_again, _pause_bake, ("paused",)),
    Row(("baking",), "tick", "suspicious", _suspicious, _control, ("baking",)),
    Row(("baking",), "tick", "calm beside stable", _calm, _bake_on, ("baking",)),
    Row(("baking",), "tick", "baked", _baked, _succeed, ("succeeded",)),
    Row(("progressing",), "tick", "the time it takes is known", _estimable, _estimated, ("progressing",)),
    Row(("progressing",), "tick", "passed, and the plan holds", _held, _pause_held, ("paused",)),
    Row(("progressing",), "tick", "passed, and a gate is closed", _gated, _pause_gate, ("paused",)),
    Row(("progressing",), "tick", "passed", _done, _next, ("progressing", "baking")),
    Row(("progressing",), "tick", "took too long", _late, _timeout, ("paused", "rolled_back")),
    Row(("paused",), "tick", "the gate opens", _gate_opens, _resume, ("progressing",)),
    Row(("progressing", "paused", "baking"), "removed", "", _always, _abort, ("rolled_back",)),
    Row(("rolled_back",), "removed", "on its way back", _on_its_way, _off, ("rolled_back",)),
    Row(("succeeded",), "removed", "", _always, _reset, ("idle",)),
    Row(("rolled_back",), "added", "it ended because the canary was removed", was_removed, _reset, ("idle",)),
)
"""The first row whose guard holds says what is next."""
