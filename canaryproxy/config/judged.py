"""Leaves that all that is judged has in common."""

from typing import Annotated

from pydantic import PlainValidator

from canaryproxy.analysis.spec import Action
from canaryproxy.config.problem import Wrong
from canaryproxy.config.quantity import is_off
from canaryproxy.config.section import Shown
from canaryproxy.model.table import FULL_WEIGHT

MOST_TIMES = 1000

_ACTIONS: dict[str, Action] = {"rollback": "rollback", "hold": "hold"}


def action(value: object) -> Action:
    """What follows."""
    found = _ACTIONS.get(value) if isinstance(value, str) else None
    if found is None:
        raise Wrong("expected rollback or hold")
    return found


def times(value: object) -> float | None:
    """How many times stable's value; None for no such bound."""
    if is_off(value):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= MOST_TIMES:
        raise Wrong(f"expected a number from 1 to {MOST_TIMES}, such as 1.5, or none")
    return float(value)


def ratio(points: int) -> float:
    """A tolerance in basis points as a ratio."""
    return 1 + points / FULL_WEIGHT


OnHarm = Annotated[Action, PlainValidator(action), Shown(str)]
Times = Annotated[float | None, PlainValidator(times), Shown(lambda value: "none" if value is None else f"{value:g}")]
