"""Which goals a request and its response reach, and with what value. Pure."""

import re

from canaryproxy.model.client import Client
from canaryproxy.model.goal import MOST_VALUE, Goal
from canaryproxy.model.message import RequestHead, ResponseHead
from canaryproxy.routing.condition import compile_condition
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.holds import Holds

try:
    from canaryproxy.routing.seek import field_values
except ImportError:
    from canaryproxy.routing.lookup import field_values

number = re.compile(rb"[0-9]{1,30}(?:\.[0-9]{1,6})?").fullmatch
"""No sign, no exponent, no white space: whatever else stands there was not meant as an amount."""

Ranges = tuple[tuple[int, int], ...]

Reached = tuple[str, float]
"""A goal's name and the event's value."""


class Goals:
    """The goals of a route that its traffic can reach."""

    __slots__ = ("_goals",)

    def __init__(self, goals: tuple[Goal, ...]) -> None:
        self._goals: list[tuple[str, Ranges, bytes, list[Holds]]] = [
            (goal.name, goal.statuses, goal.header.encode("ascii"), [compile_condition(one) for one in goal.conditions])
            for goal in goals
            if not goal.reported
        ]

    def __repr__(self) -> str:
        return f"<Goals {', '.join(name for name, _, _, _ in self._goals)}>"

    def __bool__(self) -> bool:
        return bool(self._goals)

    def reached(
        self, request: RequestHead, client: Client, response: ResponseHead, facts: Facts | None = None
    ) -> list[Reached]:
        """What this exchange is worth. `facts` are those of the request, where they were looked at before."""
        found: list[Reached] = []
        for name, statuses, header, conditions in self._goals:
            if not _within(response.status, statuses):
                continue
            value = amount(response, header) if header else 1.0
            if value is None:
                continue
            if conditions and facts is None:
                facts = Facts(request, client)
            if facts is None or _all_hold(conditions, facts):
                found.append((name, value))
        return found


def _within(status: int, ranges: Ranges) -> bool:
    for low, high in ranges:  # noqa: SIM110 - hot, and a loop needs no generator
        if low <= status <= high:
            return True
    return False


def _all_hold(conditions: list[Holds], facts: Facts) -> bool:
    for holds in conditions:  # noqa: SIM110
        if not holds.of(facts):
            return False
    return True


def amount(response: ResponseHead, name: bytes) -> float | None:
    """The number in a response's only field of this lower-case name, `MOST_VALUE` at most; None if there is no such
    number.
    """
    values = field_values(response.plain, name)
    if response.special:
        values += [value for one, value in response.special if one == name]
    if len(values) != 1 or not number(values[0]):
        return None
    return min(float(values[0]), MOST_VALUE)
