"""Which goals a request and its response reach, and with what value. Pure."""

import re
from functools import cache

from canaryproxy.model.client import Client
from canaryproxy.model.goal import MAX_VALUE, Goal
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.routing.condition import compile_condition
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.field_scan import field_values
from canaryproxy.routing.holds import Holds, all_hold

number = re.compile(rb"[0-9]{1,30}(?:\.[0-9]{1,6})?").fullmatch
"""No sign, no exponent, no white space: whatever else stands there was not meant as an amount."""

STATUSES = 600
"""There is no status from this number on."""

Reached = tuple[str, float]
"""A goal's name and the event's value."""

NONE: list[Reached] = []


@cache
def _counted(ranges: tuple[tuple[int, int], ...]) -> tuple[bool, ...]:
    """Of each status whether it lies in one of these: nearly all goals have the same ones."""
    return tuple([any(low <= status <= high for low, high in ranges) for status in range(STATUSES)])


class Sought:
    """One goal, ready to be looked for: `counted` says of each status whether it counts."""

    __slots__ = ("conditions", "counted", "header", "name")

    def __init__(self, goal: Goal) -> None:
        self.name = goal.name
        self.header = goal.header.encode("ascii")
        self.conditions: tuple[Holds, ...] = tuple(map(compile_condition, goal.conditions))
        self.counted = _counted(goal.statuses)

    def __repr__(self) -> str:
        return f"<Sought {self.name}>"


class Goals:
    """The goals of a route that its traffic can reach."""

    __slots__ = ("_goals",)

    def __init__(self, goals: tuple[Goal, ...]) -> None:
        self._goals = [Sought(goal) for goal in goals if not goal.reported]

    def __repr__(self) -> str:
        return f"<Goals {', '.join(sought.name for sought in self._goals)}>"

    def __bool__(self) -> bool:
        return bool(self._goals)

    def reached(
        self, request: RequestHead, client: Client, response: ResponseHead, facts: Facts | None = None
    ) -> list[Reached]:
        """What this exchange is worth. `facts` are those of the request, where they were looked at before."""
        found: list[Reached] = NONE
        for sought in self._goals:
            if not sought.counted[response.status]:
                continue
            value = amount(response, sought.header) if sought.header else 1.0
            if value is None:
                continue
            if sought.conditions:
                if facts is None:
                    facts = Facts(request, client)
                if not all_hold(sought.conditions, facts):
                    continue
            found = [*found, (sought.name, value)]
        return found


def amount(response: ResponseHead, name: bytes) -> float | None:
    """The number in a response's only field of this lower-case name, `MAX_VALUE` at most; None if there is no such
    number.
    """
    values = field_values(response.plain, name)
    if response.special:
        values += tuple([value for one, value in response.special if one == name])
    if len(values) != 1 or not number(values[0]):
        return None
    return min(float(values[0]), MAX_VALUE)
