"""Whether `start` begins a rollout where one has been before. Pure.

What was taken back is not started a second time by accident: the same version needs `retry`, a person's word. Another
version may start. A `start` that names its version, beside a rollout that has no name, means another one. Where no name
is given, a canary that the judge took back may start, since the judge takes it back again; one that a person aborted
may not.
"""

from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import UNDER_WAY, Rollout, RolloutEvent

REMOVED = "removed"
"""Reason of a rollout that ended because there is no canary any more."""


def was_removed(_: Plan, state: Rollout, __: RolloutEvent, ___: float) -> bool:
    """It ended with its canary, which says nothing against the next one."""
    return state.reason == REMOVED


def may_begin(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> bool:
    """After an end: it is another version, or nothing speaks for it being the same one that a person stopped."""
    stopped = state.phase == "rolled_back" and state.reason == "manual"
    return is_another(_, state, event, __) or (state.identity.same_canary(event.identity) is None and not stopped)


def is_another(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> bool:
    """While one is under way: it is another version, which takes the place of the one before."""
    same = state.identity.same_canary(event.identity)
    return same is False or (same is None and bool(event.identity.given))


def repeated(_: Plan, state: Rollout, event: RolloutEvent, __: float) -> bool:
    """One of the very version that is asked for by name is under way, or has succeeded: a job may be run again."""
    return bool(event.identity.given) and state.identity.same_canary(event.identity) is True


def removed_text(state: Rollout, wanted: str) -> str:
    """Why a verb that is meant for one rollout alone has no effect on this one."""
    now = "no rollout is there now" if state.phase == "idle" else f"now it is {state.identity}, {state.phase}"
    return f"rollout {wanted} is over: {now}"


def refusal(state: Rollout, event: RolloutEvent) -> str:
    """Why it does not start, and what does; empty where this module has no part in that."""
    if event.kind != "start":
        return ""
    canary = state.identity.canary
    if state.phase in UNDER_WAY:
        return f"a rollout is {state.phase} already: {state.identity}; to begin another one, name the version"
    if state.phase == "succeeded":
        return f"{canary} has succeeded already: update stable, then `reset`"
    if state.phase != "rolled_back":
        return ""
    if state.identity.same_canary(event.identity):
        words = f"{canary} was rolled back ({state.reason}: {state.why})"
        return f"{words}: `retry` tries it again, another version may start"
    return (
        f"the canary was taken back by a person ({state.why}), and it is not known whether this is another version: "
        "name the version, or `retry`"
    )
