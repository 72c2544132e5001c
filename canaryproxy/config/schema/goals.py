"""The part of the schema that is a goal: what counts as a business event."""

import re
from collections import Counter
from typing import Annotated

from pydantic import Field, PlainValidator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import HeaderName, Method, PathMatch, RuleName, Section, ShownAs
from canaryproxy.config.types.sequence import non_empty_sequence, sequence
from canaryproxy.model.goal import REACHED, Goal
from canaryproxy.model.rule import Condition

MAX_GOALS = 100
"""Of one route: each has series of its own."""

STATUS_EXPECTED = "expected a status such as 201, 2xx or 200-299, or a list of them"

_CLASS = re.compile(r"[1-5]xx", re.IGNORECASE)
_STATUS = re.compile(r"[1-5][0-9]{2}", re.ASCII)
_SPAN = re.compile(r"([1-5][0-9]{2})-([1-5][0-9]{2})", re.ASCII)

Ranges = tuple[tuple[int, int], ...]


def statuses(value: object) -> Ranges:
    """`2xx`, `201`, `200-299`, or a list of such, as ranges with both ends."""
    return tuple(map(_range, non_empty_sequence(value))) if isinstance(value, list) else (_range(value),)


def _range(value: object) -> tuple[int, int]:
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if _CLASS.fullmatch(text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    if _STATUS.fullmatch(text):
        return int(text), int(text)
    if (span := _SPAN.fullmatch(text)) is not None:
        if span[1] > span[2]:
            raise InvalidValueError(f"write the smaller one first: {span[2]}-{span[1]}")
        return int(span[1]), int(span[2])
    raise InvalidValueError(STATUS_EXPECTED)


def statuses_text(value: Ranges) -> str:
    """Ranges as they are written."""
    if value == REACHED:
        return "[2xx, 3xx]"
    shown = [_written(low, high) for low, high in value]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _written(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low // 100}xx" if low % 100 == 0 and high == low + 99 else f"{low}-{high}"


class GoalConfig(Section):
    """A business event. What is given must all hold. One with nothing but a name is reported through the API."""

    name: RuleName = Field(description="Its name in metrics and stats, unique in the route.", examples=["add_to_cart"])
    method: Method | None = Field(default=None, description="The request's method.", examples=["POST"])
    path: PathMatch | None = Field(
        default=None,
        description="The request's path: exact, or one of `exact`, `prefix` (by whole segments), `regex` (RE2, the "
        "whole path). Compared in one normalised spelling.",
        examples=["/cart"],
    )
    status: Annotated[Ranges, PlainValidator(statuses), ShownAs(statuses_text)] = Field(
        default=REACHED, description="Statuses of the response that count.", examples=["201"]
    )
    header: HeaderName | None = Field(
        default=None,
        description="A response header with the event's value: digits, with at most six decimals after a point. "
        "Without it, or with anything else in it, there is no event. Values above 1,000,000,000 count as that. Without "
        "this key every event has the value 1.",
        examples=["x-order-value"],
    )

    @property
    def goal(self) -> Goal:
        """As the table has it."""
        conditions = [] if self.method is None else [Condition("method", "in", (self.method,))]
        if self.path is not None:
            conditions.append(Condition("path", *self.path))
        reported = not self.model_fields_set - {"name"}
        return Goal(self.name, tuple(conditions), self.status, self.header or "", reported)


def goal_list(value: object) -> tuple[object, ...]:
    """A list of goals with names of their own."""
    goals = sequence(value)
    if len(goals) > MAX_GOALS:
        raise InvalidValueError(f"a route has at most {MAX_GOALS} goals", found=f"{len(goals)} goals")
    names = Counter(goal["name"] for goal in goals if isinstance(goal, dict) and isinstance(goal.get("name"), str))
    for name, count in names.most_common(1):
        if count > 1:
            raise InvalidValueError("give each goal a name of its own", found=f"{count} goals named {name}")
    return goals
