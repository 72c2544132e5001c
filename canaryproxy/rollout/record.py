"""What is remembered of a rollout when it is over: which it was, how it ended, and the report of that moment. Pure.

A route keeps its last ones with its state, so a job that asks late, after a `reset`, or for a rollout that another one
has taken the place of, still gets its answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.state import UNDER_WAY, Rollout

Result = Literal["under_way", "succeeded", "rolled_back", "superseded"]

MAX_RECORDS = 5
"""Rollouts that a route remembers."""


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One rollout. `superseded_by` is the id of the one that took its place; `report` is plain data; `extra` is what a
    later version has stored of it.
    """

    identity: RolloutIdentity
    result: Result
    reason: str = ""
    why: str = ""
    began: float = 0.0
    ended: float = 0.0
    superseded_by: str = ""
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


def result_of(rollout: Rollout) -> Result:
    """How it stands, or how it ended."""
    if rollout.phase == "succeeded":
        return "succeeded"
    return "rolled_back" if rollout.phase == "rolled_back" else "under_way"


def present(rollout: Rollout) -> RolloutRecord | None:
    """The rollout that a route has now, as a record without a report."""
    if rollout.phase == "idle" or not rollout.identity.id:
        return None
    result = result_of(rollout)
    ended = 0.0 if result == "under_way" else rollout.since
    return RolloutRecord(rollout.identity, result, rollout.reason, rollout.why, rollout.began, ended)


def with_record(
    past: tuple[RolloutRecord, ...], before: Rollout, after: Rollout, report: Mapping[str, Any], now: float
) -> tuple[RolloutRecord, ...]:
    """The last rollouts, the oldest first, once `before` has become `after`: with one that has just ended, or that
    another one has taken the place of.
    """
    if before.phase in UNDER_WAY and before.identity.id != after.identity.id:
        why = f"{after.identity} took its place"
        gone = RolloutRecord(
            before.identity, "superseded", "superseded", why, before.began, now, after.identity.id, report
        )
        return _with(past, gone)
    if result_of(after) == "under_way" or after.phase == before.phase:
        return past
    one = RolloutRecord(after.identity, result_of(after), after.reason, after.why, after.began, now, "", report)
    return _with(past, one)


def _with(past: tuple[RolloutRecord, ...], one: RolloutRecord) -> tuple[RolloutRecord, ...]:
    others = tuple(record for record in past if record.identity.id != one.identity.id)
    return (*others, one)[-MAX_RECORDS:] if one.identity.id else past


def records(past: tuple[RolloutRecord, ...], rollout: Rollout) -> list[RolloutRecord]:
    """All that are remembered, the newest first; the first one may be under way."""
    now = present(rollout)
    rest = [record for record in reversed(past) if now is None or record.identity.id != now.identity.id]
    ended = next((record for record in past if now is not None and record.identity.id == now.identity.id), None)
    first = ended if ended is not None and now is not None and ended.result == now.result else now
    return rest if first is None else [first, *rest]
