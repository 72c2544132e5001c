"""Goals: business events recognised in the traffic or reported through the API."""

from dataclasses import dataclass

from canaryproxy.model.rule import Condition

# Largest value of one event; larger ones are clamped, so that sums of a million events stay exact to a cent.
MAX_VALUE = 1e9

# Statuses that count by default: success, and redirection, since forms are often answered with 303.
REACHED = ((200, 399),)


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal is reached if the request meets all `conditions` and the response has one of `statuses` (ranges, both ends
    included). The event's value is the number in the response field `header` (lower case), without which there is no
    event; without `header` it is 1. `reported`: events come only through the API.
    """

    name: str
    conditions: tuple[Condition, ...] = ()
    statuses: tuple[tuple[int, int], ...] = REACHED
    header: str = ""
    reported: bool = False
