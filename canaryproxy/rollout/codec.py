"""A rollout as a document, and read again by this version, an older or a later one. Pure.

To add a field: give `Rollout` a default, and name it in `dump` and `load` with that default. Nothing else changes, `V`
included, unless an older reader would act wrongly by ignoring it (docs/decisions/0013-stored-state.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from canaryproxy.model.document import VERSION, items, mapping, number, text, truth, unknown, version_of, whole
from canaryproxy.rollout.identity import RolloutIdentity, identifier
from canaryproxy.rollout.plan import FULL_WEIGHT, Step
from canaryproxy.rollout.record import Result, RolloutRecord
from canaryproxy.rollout.state import Phase, Rollout

V = 1
"""0 is the form of commit 64e2905: the same fields without `v`."""

PHASES: Mapping[str, Phase] = {
    "idle": "idle",
    "progressing": "progressing",
    "paused": "paused",
    "baking": "baking",
    "succeeded": "succeeded",
    "rolled_back": "rolled_back",
}
RESULTS: Mapping[str, Result] = {
    "under_way": "under_way",
    "succeeded": "succeeded",
    "rolled_back": "rolled_back",
    "superseded": "superseded",
}
REASONS: Mapping[str, str] = {
    "manual": "manual",
    "step": "step",
    "gate": "gate",
    "inconclusive": "inconclusive",
    "timeout": "timeout",
    "control": "control",
    "verdict": "verdict",
    "max_failed": "max_failed",
    "removed": "removed",
    "superseded": "superseded",
}
"""What is stored -> what it is called here. The machine acts on these; any other reason is kept as it is."""

STORED_PHASES = {phase: stored for stored, phase in PHASES.items()}
STORED_RESULTS = {result: stored for stored, result in RESULTS.items()}
STORED_REASONS = {reason: stored for stored, reason in REASONS.items()}


def _dump_identity(identity: RolloutIdentity) -> dict[str, str]:
    """Its keys stand among those of the rollout."""
    return {
        "id": identity.id,
        "given": identity.given,
        "announced": identity.announced,
        "stable": identity.stable,
    }


def _dump_step(step: Step) -> list[Any]:
    """What a later version has added to a step comes fourth, by name."""
    written: list[Any] = [step.weight, step.dwell, step.hold]
    return [*written, dict(step.extra)] if step.extra else written


def dump(rollout: Rollout) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        **rollout.extra,
        VERSION: V,
        "phase": STORED_PHASES[rollout.phase],
        "reason": STORED_REASONS.get(rollout.reason, rollout.reason),
        "why": rollout.why,
        "steps": [_dump_step(step) for step in rollout.steps],
        "step": rollout.step,
        "weight": rollout.weight,
        "began": rollout.began,
        "since": rollout.since,
        "step_since": rollout.step_since,
        "timeout_at": rollout.timeout_at,
        "released": rollout.released,
        "before": STORED_PHASES[rollout.before],
        "controls": rollout.controls,
        "warned": rollout.warned,
        **_dump_identity(rollout.identity),
    }


KNOWN = frozenset(dump(Rollout()))


def load(data: Mapping[str, Any]) -> Rollout:
    """What `dump` gave. Without phase, weight, step and steps it is no rollout; all else has a default.

    Raises `TooNewError` for what a later version wrote and this one must not act on, `ValueError`, `KeyError` or
    `TypeError` for anything else that is no rollout.
    """
    version_of(data, V, "a rollout")
    since = number(data.get("since", data.get("began", 0.0)))
    steps = tuple(_load_step(one) for one in items(data["steps"]))
    return Rollout(
        phase=_phase(data["phase"]),
        reason=_reason(data),
        why=text(data.get("why", "")),
        steps=steps,
        step=_place(data["step"], len(steps)),
        weight=_weight(data["weight"]),
        began=number(data.get("began", since)),
        since=since,
        step_since=number(data.get("step_since", since)),
        timeout_at=number(data.get("timeout_at", 0.0)),
        released=truth(data.get("released", False)),
        before=_phase(data.get("before", "progressing")),
        controls=whole(data.get("controls", 0)),
        warned=truth(data.get("warned", False)),
        identity=_known(data, since),
        extra=unknown(data, KNOWN),
    )


def dump_record(record: RolloutRecord) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        **record.extra,
        VERSION: V,
        **_dump_identity(record.identity),
        "result": STORED_RESULTS[record.result],
        "reason": STORED_REASONS.get(record.reason, record.reason),
        "why": record.why,
        "began": record.began,
        "ended": record.ended,
        "superseded_by": record.superseded_by,
        "report": dict(record.report),
    }


KNOWN_OF_RECORD = frozenset(dump_record(RolloutRecord(RolloutIdentity(), "succeeded")))


def load_record(data: Mapping[str, Any]) -> RolloutRecord:
    """What `dump_record` gave. Without an id and a result it is none. Raises as `load` does."""
    version_of(data, V, "a record of a rollout")
    return RolloutRecord(
        identity=replace(_identity(data), id=text(data["id"])),
        result=_result(data["result"]),
        reason=_reason(data),
        why=text(data.get("why", "")),
        began=number(data.get("began", 0.0)),
        ended=number(data.get("ended", 0.0)),
        superseded_by=text(data.get("superseded_by", "")),
        report=mapping(data.get("report", {})),
        extra=unknown(data, KNOWN_OF_RECORD),
    )


def _known(data: Mapping[str, Any], since: float) -> RolloutIdentity:
    """A rollout that an older version has begun gets an id here, and the same one every time."""
    mine = _identity(data)
    if "id" in data or data["phase"] == "idle":
        return mine
    return replace(mine, id=identifier(number(data.get("began", 0.0)) or since, 0))


def _identity(data: Mapping[str, Any]) -> RolloutIdentity:
    return RolloutIdentity(
        id=text(data.get("id", "")),
        given=text(data.get("given", "")),
        announced=text(data.get("announced", "")),
        stable=text(data.get("stable", "")),
    )


def _load_step(data: object) -> Step:
    weight, dwell, *rest = items(data)
    if len(rest) > 2:
        raise ValueError(f"{data!r} is no step")
    hold = truth(rest[0]) if rest else False
    extra = mapping(rest[1]) if len(rest) > 1 else {}
    return Step(weight=_weight(weight), dwell=number(dwell), hold=hold, extra=extra)


def _phase(value: object) -> Phase:
    if text(value) not in PHASES:
        raise ValueError(f"{value!r} is no phase")
    return PHASES[text(value)]


def _reason(data: Mapping[str, Any]) -> str:
    stored = text(data.get("reason", ""))
    return REASONS.get(stored, stored)


def _result(value: object) -> Result:
    if text(value) not in RESULTS:
        raise ValueError(f"{value!r} is no result of a rollout")
    return RESULTS[text(value)]


def _place(value: object, steps: int) -> int | None:
    """The number of a step, None where there are none."""
    fits = value is None if not steps else type(value) is int and 0 <= value < steps
    if not fits:
        raise ValueError(f"{value!r} is none of {steps} steps")
    return cast("int | None", value)


def _weight(value: object) -> int:
    if whole(value) > FULL_WEIGHT:
        raise ValueError(f"{value!r} is no weight")
    return cast("int", value)
