"""Whether `start` begins a rollout where there has been one before. Pure.

A version that was rolled back does not start again by accident: that takes `retry`. Another version may start. A
`start` with a version, where the last rollout had none, counts as another version. Without a version, a canary that
the judge rolled back may start, since the judge would roll it back again; one that an operator aborted may not.
"""

from canaryproxy.rollout.state import UNDER_WAY, Rollout, RolloutEvent, Situation

# Reason of a rollout that ended because the canary was removed.
REMOVED = "removed"


def was_removed(given: Situation) -> bool:
    """The rollout ended with its canary, which says nothing against the next canary."""
    return given.state.reason == REMOVED


def may_begin(given: Situation) -> bool:
    """After an end: another version, or a version that is not known to be the one that an operator stopped."""
    state = given.state
    stopped = state.phase == "rolled_back" and state.reason == "manual"
    return is_another(given) or (state.identity.same_canary(given.event.identity) is None and not stopped)


def is_another(given: Situation) -> bool:
    """While a rollout is under way: another version, whose rollout supersedes the present one."""
    same = given.state.identity.same_canary(given.event.identity)
    return same is False or (same is None and bool(given.event.identity.given))


def repeated(given: Situation) -> bool:
    """The named version is under way, or has succeeded: a CI job may run twice."""
    return bool(given.event.identity.given) and given.state.identity.same_canary(given.event.identity) is True


def removed_text(state: Rollout, wanted: str) -> str:
    """Why a verb for the rollout `wanted` has no effect on the present one."""
    now = "no rollout is there now" if state.phase == "idle" else f"now it is {state.identity}, {state.phase}"
    return f"rollout {wanted} is over: {now}"


def refusal(state: Rollout, event: RolloutEvent) -> str:
    """Why `start` is refused, and what to do instead; empty for any other reason and any other verb."""
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
        f"the last rollout was aborted by an operator ({state.why}), and it is not known whether this is another "
        "version: name the version, or `retry`"
    )
