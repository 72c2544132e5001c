"""Goals: business events that are recognised in the traffic, or reported through the API."""

from dataclasses import dataclass

from canaryproxy.model.rule import Condition

MAX_VALUE = 1e9
"""Of one event; a greater number counts as this one. Sums stay exact to a cent over a million such events."""

REACHED = ((200, 399),)
"""Statuses that count unless a goal says otherwise: what was asked for was done. A form is often answered with 303."""


@dataclass(frozen=True, slots=True)
class Goal:
    """`conditions` must hold of the request, and its response must have one of `statuses` (ranges, both ends
    included). With a `header`, in lower case, the event's value is the number that this response header carries, and
    without such a number there is no event; else it is 1. `reported`: nothing in the traffic makes an event of it.
    """

    name: str
    conditions: tuple[Condition, ...] = ()
    statuses: tuple[tuple[int, int], ...] = REACHED
    header: str = ""
    reported: bool = False
