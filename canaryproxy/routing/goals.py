"""Which goals a request and its response reach, and with what value. Pure."""

import re

from canaryproxy.model.client import Client
from canaryproxy.model.goal import MOST_VALUE, Goal
from canaryproxy.model.message import RequestHead, ResponseHead
from canaryproxy.routing.condition import Holds, compile_condition
from canaryproxy.routing.facts import Facts

number = re.compile(rb"[0-9]{1,30}(?:\.[0-9]{1,6})?").fullmatch
"""No sign, no exponent, no white space: whatever else stands there was not meant as an amount."""

Ranges = tuple[tuple[int, int], ...]

Reached = tuple[str, float]
"""A goal's name and the event's value."""


class Goals:
    """The goals of a route that its traffic can reach."""

    __slots__ = ("_goals",)

    def __init__(self, goals: tuple[Goal, ...]) -> None:
        self._goals: list[tuple[Goal, Ranges, list[Holds]]] = [
            (goal, goal.statuses, [compile_condition(one) for one in goal.conditions])
            for goal in goals
            if not goal.reported
        ]

    def __repr__(self) -> str:
        return f"<Goals {', '.join(goal.name for goal, _, _ in self._goals)}>"

    def __bool__(self) -> bool:
        return bool(self._goals)

    def reached(self, request: RequestHead, client: Client, response: ResponseHead) -> list[Reached]:
        """What this exchange is worth."""
        found: list[Reached] = []
        facts = None
        for goal, statuses, conditions in self._goals:
            if not _within(response.status, statuses):
                continue
            facts = facts or Facts(request, client)
            if _all_hold(conditions, facts):
                value = amount(response, goal.header) if goal.header else 1.0
                if value is not None:
                    found.append((goal.name, value))
        return found


def _within(status: int, ranges: Ranges) -> bool:
    for low, high in ranges:  # noqa: SIM110 - hot, and a loop needs no generator
        if low <= status <= high:
            return True
    return False


def _all_hold(conditions: list[Holds], facts: Facts) -> bool:
    for holds in conditions:  # noqa: SIM110
        if not holds(facts):
            return False
    return True


def amount(response: ResponseHead, header: str) -> float | None:
    """The number in a response's only field of this name, `MOST_VALUE` at most; None if there is no such number."""
    name = header.encode("ascii")
    values = [value for one, value in response.fields() if one == name]
    if len(values) != 1 or not number(values[0]):
        return None
    return min(float(values[0]), MOST_VALUE)
