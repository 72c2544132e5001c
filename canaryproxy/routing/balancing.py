"""Which endpoint: of two drawn at random, the one with fewer exchanges in flight.

The power of two choices (Mitzenmacher 2001) keeps loads nearly even without any coordination between
workers, and unlike "the least loaded of all" it does not send a whole burst to the one that just came back.
Ejected endpoints are passed over, unless nothing else is left.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.table import Endpoint
from canaryproxy.routing.split import Rng


class EndpointLoad(Protocol):
    """What is known of an endpoint here and now."""

    @property
    def in_flight(self) -> int:
        """Exchanges it is working on for us."""

    @property
    def ejected(self) -> bool:
        """Whether it is ejected."""


Loads = Callable[[Decision], EndpointLoad]


def pick(decisions: Sequence[Decision], loads: Loads, rng: Rng) -> Decision:
    """One of several decisions that differ in their endpoint."""
    ready = [decision for decision in decisions if not loads(decision).ejected] or decisions
    if len(ready) == 1:
        return ready[0]
    first = int(rng() * len(ready))
    second = int(rng() * (len(ready) - 1))
    second += second >= first
    one, other = ready[first], ready[second]
    return one if loads(one).in_flight <= loads(other).in_flight else other


def pick_untried(
    choices: Iterable[VersionChoice | None],
    tried: Collection[Endpoint],
    usable: Callable[[Decision], bool],
    loads: Loads,
    rng: Rng,
) -> Decision | None:
    """Where to go on after an attempt came to nothing: an endpoint of the first of these verdicts that was not tried,
    else one of the next, else None.
    """
    for choice in choices:
        left = (
            []
            if choice is None
            else [other for other in choice.decisions() if other.endpoint not in (None, *tried) and usable(other)]
        )
        if left:
            return pick(left, loads, rng)
    return None
