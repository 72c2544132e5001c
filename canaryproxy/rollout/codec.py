"""A rollout as a document, written and read by this version, an older or a later one. Pure.

To add a field: give it a default in `Rollout`, and name it in `dump` and `load` with that default. Nothing else
changes, not even `V`, unless an older reader would act wrongly by ignoring it (docs/decisions/0013-stored-state.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from canaryproxy.model.document import VERSION, items, mapping, number, text, truth, unknown, version_of, whole
from canaryproxy.rollout.identity import RolloutIdentity, identifier
from canaryproxy.rollout.plan import FULL_WEIGHT, Step
from canaryproxy.rollout.record import Result, RolloutRecord
from canaryproxy.rollout.state import Phase, Rollout

# 0 is the form of commit 64e2905: the same fields without `v`.
V = 1

PHASES: Mapping[str, Phase] = {
    "idle": "idle",
    "progressing": "progressing",
    "paused": "paused",
    "baking": "baking",
    "succeeded": "succeeded",
    "rolled_back": "rolled_back",
}
# Stored name -> name in the code, so that a rename in the code changes no stored name.
RESULTS: Mapping[str, Result] = {
    "under_way": "under_way",
    "succeeded": "succeeded",
    "rolled_back": "rolled_back",
    "superseded": "superseded",
}

STORED_PHASES = {phase: stored for stored, phase in PHASES.items()}
STORED_RESULTS = {result: stored for stored, result in RESULTS.items()}


def _dump_identity(identity: RolloutIdentity) -> dict[str, str]:
    """Fields that stand beside the other fields of the rollout, not in an object of their own."""
    return {"id": identity.id, "given": identity.given, "announced": identity.announced, "stable": identity.stable}


def _dump_step(step: Step) -> list[Any]:
    """Fields of a later version are an object in the fourth place."""
    written: list[Any] = [step.weight, step.dwell, step.hold]
    return [*written, dict(step.extra)] if step.extra else written


def dump(rollout: Rollout) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        **rollout.extra,
        VERSION: V,
        "phase": STORED_PHASES[rollout.phase],
        "reason": rollout.reason,
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
    """The rollout of `dump`. Phase, weight, step and steps are required; every other field has a default.

    Raises `TooNewError` for a document of a later version that this version must not act on, and `ValueError`,
    `KeyError` or `TypeError` for anything else that is not a rollout.
    """
    version_of(data, V, "a rollout")
    since = number(data.get("since", data.get("began", 0.0)))
    steps = tuple(_load_step(one) for one in items(data["steps"]))
    identity = _identity(data)
    if "id" not in data and data["phase"] != "idle":
        # Rollouts of version 0 have no id. They get one by their start, so that it is the same at every load.
        identity = replace(identity, id=identifier(number(data.get("began", 0.0)) or since, 0))
    return Rollout(
        phase=_phase(data["phase"]),
        reason=text(data.get("reason", "")),
        why=text(data.get("why", "")),
        steps=steps,
        step=_step(data["step"], len(steps)),
        weight=_weight(data["weight"]),
        began=number(data.get("began", since)),
        since=since,
        step_since=number(data.get("step_since", since)),
        timeout_at=number(data.get("timeout_at", 0.0)),
        released=truth(data.get("released", False)),
        before=_phase(data.get("before", "progressing")),
        controls=whole(data.get("controls", 0)),
        warned=truth(data.get("warned", False)),
        identity=identity,
        extra=unknown(data, KNOWN),
    )


def dump_record(record: RolloutRecord) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        **record.extra,
        VERSION: V,
        **_dump_identity(record.identity),
        "result": STORED_RESULTS[record.result],
        "reason": record.reason,
        "why": record.why,
        "began": record.began,
        "ended": record.ended,
        "superseded_by": record.superseded_by,
        "report": dict(record.report),
    }


KNOWN_OF_RECORD = frozenset(dump_record(RolloutRecord(RolloutIdentity(), "succeeded")))


def load_record(data: Mapping[str, Any]) -> RolloutRecord:
    """The record of `dump_record`. Id and result are required. Raises as `load` does."""
    version_of(data, V, "a record of a rollout")
    result = text(data["result"])
    if result not in RESULTS:
        raise ValueError(f"{result!r} is no result of a rollout")
    return RolloutRecord(
        identity=replace(_identity(data), id=text(data["id"])),
        result=RESULTS[result],
        reason=text(data.get("reason", "")),
        why=text(data.get("why", "")),
        began=number(data.get("began", 0.0)),
        ended=number(data.get("ended", 0.0)),
        superseded_by=text(data.get("superseded_by", "")),
        report=mapping(data.get("report", {})),
        extra=unknown(data, KNOWN_OF_RECORD),
    )


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


def _step(value: object, steps: int) -> int | None:
    """The index of a step, None where there are none."""
    fits = value is None if not steps else type(value) is int and 0 <= value < steps
    if not fits:
        raise ValueError(f"{value!r} is none of {steps} steps")
    return cast("int | None", value)


def _weight(value: object) -> int:
    if whole(value) > FULL_WEIGHT:
        raise ValueError(f"{value!r} is no weight")
    return cast("int", value)
