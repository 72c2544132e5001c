"""Leaves that all that is judged has in common."""

from typing import Annotated

from pydantic import PlainValidator

from canaryproxy.analysis.spec import Action
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import ShownAs
from canaryproxy.config.types.quantity import is_off
from canaryproxy.model.table import FULL_WEIGHT

MAX_RATIO = 1000

_ACTIONS: dict[str, Action] = {"rollback": "rollback", "hold": "hold"}


def action(value: object) -> Action:
    """What follows."""
    found = _ACTIONS.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValueError("expected rollback or hold")
    return found


def times(value: object) -> float | None:
    """How many times stable's value; None for no such bound."""
    if is_off(value):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= MAX_RATIO:
        raise InvalidValueError(f"expected a number from 1 to {MAX_RATIO}, such as 1.5, or none")
    return float(value)


def ratio(points: int) -> float:
    """A tolerance in basis points as a ratio."""
    return 1 + points / FULL_WEIGHT


OnFailure = Annotated[Action, PlainValidator(action), ShownAs(str)]
Times = Annotated[float | None, PlainValidator(times), ShownAs(lambda value: "none" if value is None else f"{value:g}")]
