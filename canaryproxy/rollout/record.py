"""The record of a rollout that is over: its identity, its result, and the report at its end. Pure.

A route keeps the last records with its state, so that a CI job still gets its answer after a `reset` or after another
rollout has begun.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.state import UNDER_WAY, Phase, Rollout

Result = Literal["under_way", "succeeded", "rolled_back", "superseded"]

# Records that a route keeps.
MAX_RECORDS = 5


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One rollout. `superseded_by` is the id of the rollout that took its place; `report` is plain data; `extra` are
    stored fields of a later version.
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


def present(rollout: Rollout) -> RolloutRecord | None:
    """The present rollout of a route, as a record without a report; None in idle."""
    if rollout.phase == "idle" or not rollout.identity.id:
        return None
    ends: dict[Phase, Result] = {"succeeded": "succeeded", "rolled_back": "rolled_back"}
    result = ends.get(rollout.phase, "under_way")
    ended = rollout.since if rollout.phase in ends else 0.0
    return RolloutRecord(rollout.identity, result, rollout.reason, rollout.why, rollout.began, ended)


def with_record(
    past: tuple[RolloutRecord, ...], before: Rollout, after: Rollout, report: Mapping[str, Any], now: float
) -> tuple[RolloutRecord, ...]:
    """The records, oldest first, after a transition at `now`: with that of a rollout that it has ended."""
    ended = present(after)
    if before.phase in UNDER_WAY and before.identity.id != after.identity.id:
        why, by = f"{after.identity} took its place", after.identity.id
        ended = RolloutRecord(before.identity, "superseded", "superseded", why, before.began, now, by, report)
    elif ended is None or ended.result == "under_way" or after.phase == before.phase:
        return past
    else:
        ended = replace(ended, ended=now, report=report)
    others = tuple(record for record in past if record.identity.id != ended.identity.id)
    return (*others, ended)[-MAX_RECORDS:] if ended.identity.id else past


def records(past: tuple[RolloutRecord, ...], rollout: Rollout) -> list[RolloutRecord]:
    """All records, newest first; the first one may be that of the rollout under way."""
    now = present(rollout)
    rest = [record for record in reversed(past) if now is None or record.identity.id != now.identity.id]
    ended = next((record for record in past if now is not None and record.identity.id == now.identity.id), None)
    first = ended if ended is not None and now is not None and ended.result == now.result else now
    return rest if first is None else [first, *rest]
