"""A rollout as it is written down, and read again after whatever happened. Pure."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, get_args

from canaryproxy.rollout.plan import WHOLE, Step
from canaryproxy.rollout.state import Phase, Rollout

PHASES = get_args(Phase)


def written(rollout: Rollout) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {**asdict(rollout), "steps": [[step.weight, step.dwell, step.hold] for step in rollout.steps]}


def read(told: Mapping[str, Any]) -> Rollout:
    """What `written` gave. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    values = {field.name: told[field.name] for field in fields(Rollout)}
    values["steps"] = tuple(_step(*one) for one in told["steps"])
    for field in fields(Rollout):
        if field.type is float and not _is_time(values[field.name]):
            raise ValueError(f"{field.name} is no time")
        if field.type in (str, bool) and type(values[field.name]) is not field.type:
            raise ValueError(f"{field.name} is something else")
    rollout = Rollout(**values)
    steps = len(rollout.steps)
    fits = rollout.step is None if not steps else type(rollout.step) is int and 0 <= rollout.step < steps
    if rollout.phase not in PHASES or rollout.before not in PHASES or type(rollout.controls) is not int:
        raise ValueError("not a phase")
    if not _is_weight(rollout.weight) or not fits:
        raise ValueError("not a weight or a step")
    return rollout


def _step(weight: object, dwell: object, hold: object) -> Step:
    if not _is_weight(weight) or not _is_time(dwell) or not isinstance(hold, bool):
        raise ValueError("not a step")
    return Step(weight, dwell, hold)  # type: ignore[arg-type]


def _is_weight(value: object) -> bool:
    return type(value) is int and 0 <= value <= WHOLE


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
