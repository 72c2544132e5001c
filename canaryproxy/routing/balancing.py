"""Chooses an endpoint: of two drawn at random, the one with fewer exchanges in flight.

The power of two choices (Mitzenmacher 2001) keeps loads nearly even without coordination between workers, and unlike
"least loaded" it does not send a whole burst to an endpoint that just came back. Ejected endpoints are skipped unless
all are ejected.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.table import Endpoint
from canaryproxy.routing.split import Rng


class EndpointLoad(Protocol):
    """The load of an endpoint, as seen by this worker."""

    @property
    def in_flight(self) -> int:
        """Exchanges in flight."""

    @property
    def ejected(self) -> bool:
        """Whether it is ejected."""


Loads = Callable[[Decision], EndpointLoad]


def pick(decisions: Sequence[Decision], loads: Loads, rng: Rng) -> Decision:
    """One of several decisions that differ only in their endpoint."""
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
    """The decision after a failed attempt: an untried endpoint of the first choice that has one; None without any."""
    for choice in filter(None, choices):
        left = [other for other in choice.decisions() if other.endpoint not in (None, *tried) and usable(other)]
        if left:
            return pick(left, loads, rng)
    return None
