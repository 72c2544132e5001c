"""Matches requests and responses with goals. Pure."""

import re
from functools import cache

from canaryproxy.model.client import Client
from canaryproxy.model.goal import MAX_VALUE, Goal
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.routing.conditions import compile_condition
from canaryproxy.routing.field_scan import field_values
from canaryproxy.routing.matchers import Matcher, all_match
from canaryproxy.routing.request_view import RequestView

# An amount: no sign, no exponent, no white space. Any other text is not meant as a number.
number = re.compile(rb"[0-9]{1,30}(?:\.[0-9]{1,6})?").fullmatch

# Upper bound of statuses, exclusive.
STATUSES = 600

# A goal's name and the event's value.
GoalEvents = tuple[str, float]

NO_GOALS: list[GoalEvents] = []


@cache
def _status_set(ranges: tuple[tuple[int, int], ...]) -> tuple[bool, ...]:
    """For each status, whether it is in one of the ranges. Cached: nearly all goals have the same ones."""
    return tuple([any(low <= status <= high for low, high in ranges) for status in range(STATUSES)])


class CompiledGoal:
    """One goal, compiled. `statuses` has for each status whether it counts."""

    def __init__(self, goal: Goal) -> None:
        self.name = goal.name
        self.header = goal.header.encode("ascii")
        self.conditions: tuple[Matcher, ...] = tuple(map(compile_condition, goal.conditions))
        self.statuses = _status_set(goal.statuses)

    def __repr__(self) -> str:
        return f"<CompiledGoal {self.name}>"


class GoalMatcher:
    """The goals of a route that traffic can reach."""

    def __init__(self, goals: tuple[Goal, ...]) -> None:
        self._goals = [CompiledGoal(goal) for goal in goals if not goal.reported]

    def __repr__(self) -> str:
        return f"<GoalMatcher {', '.join(compiled.name for compiled in self._goals)}>"

    def __bool__(self) -> bool:
        return bool(self._goals)

    def match(
        self, request: RequestHead, client: Client, response: ResponseHead, request_view: RequestView | None = None
    ) -> list[GoalEvents]:
        """The goals that this exchange reaches, with values. `request_view` is reused if there is one."""
        found: list[GoalEvents] = NO_GOALS
        for compiled in self._goals:
            if not compiled.statuses[response.status]:
                continue
            value = amount(response, compiled.header) if compiled.header else 1.0
            if value is None:
                continue
            if compiled.conditions:
                if request_view is None:
                    request_view = RequestView(request, client)
                if not all_match(compiled.conditions, request_view):
                    continue
            found = [*found, (compiled.name, value)]
        return found


def amount(response: ResponseHead, name: bytes) -> float | None:
    """The number in a response's only field of this lower-case name, at most `MAX_VALUE`; None without one."""
    values = field_values(response.plain, name)
    if response.special:
        values += tuple([value for one, value in response.special if one == name])
    if len(values) != 1 or not number(values[0]):
        return None
    return min(float(values[0]), MAX_VALUE)
