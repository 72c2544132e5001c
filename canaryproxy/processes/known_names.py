"""The names that workers may use: those of every table that was published, since an exchange keeps the decision that it
began with. Pure.

A download of hours is reported under names that are in no table any more, so what was replaced stays known: the last
`MAX_TABLES` names of each kind and route, and as many routes. What was never published is unknown.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from canaryproxy.ipc.messages import Publication
from canaryproxy.model.table import Route
from canaryproxy.routing.compiled_route import ABORT, AFFINITY, WEIGHT

MAX_TABLES = 10_000
"""Names of a kind that are in no table any more, and still known."""

NO_ENDPOINT_NAME = ""
"""The endpoint of a decision for a version that had none."""

Names = dict[str, None]
"""The latest at the end."""


def learn(known: Names, names: Iterable[str], remembered: int = MAX_TABLES) -> None:
    """These hold now; of all others the latest stay."""
    current = dict.fromkeys(names)
    for name in current:
        known.pop(name, None)
    known.update(current)
    for old in list(known)[: max(len(known) - len(current) - remembered, 0)]:
        del known[old]


def nothing() -> Names:
    """No names."""
    return {}


@dataclass(slots=True)
class RouteNames:
    """Names in one route: endpoints by version, goals, and the reasons of decisions."""

    endpoints: dict[str, Names] = field(default_factory=dict)
    goals: Names = field(default_factory=nothing)
    rules: Names = field(default_factory=nothing)

    def add(self, route: Route) -> None:
        """A table has this route, whose rules come separately."""
        for version in route.versions:
            names = (NO_ENDPOINT_NAME, *(endpoint.authority for endpoint in version.endpoints))
            learn(self.endpoints.setdefault(version.name, {}), names)
        learn(self.goals, (goal.name for goal in route.goals))


class KnownNames:
    """All names that were ever published, and not long ago replaced."""

    REASONS: Set[str] = frozenset((WEIGHT, AFFINITY, ABORT))
    """Of decisions that no rule made."""

    def __init__(self) -> None:
        self.routes: dict[str, RouteNames] = {}
        self._authorities: Set[str] | None = frozenset()

    def __repr__(self) -> str:
        return f"<KnownNames of {len(self.routes)} routes>"

    def add(self, publication: Publication) -> None:
        """Another table is published. To be called for every one, in order, before a worker can know of it."""
        self._authorities = None
        for route in publication.routes:
            words = self.routes.pop(route.name, None) or RouteNames()
            self.routes[route.name] = words
            words.add(route)
        for name, rules in publication.rules.items():
            learn(self.routes[name].rules, (f"rule:{rule.name}" for rule in rules))
        if len(self.routes) > len(publication.names) + MAX_TABLES:
            self._forget(frozenset(publication.names))

    def _forget(self, current: Set[str]) -> None:
        gone = [name for name in self.routes if name not in current]
        for name in gone[: max(len(gone) - MAX_TABLES, 0)]:
            del self.routes[name]

    @property
    def authorities(self) -> Set[str]:
        """All endpoints. Few reports name any outside a route, so they are gathered when one does."""
        if self._authorities is None:
            sides: Iterable[Mapping[str, None]] = (
                side for words in self.routes.values() for side in words.endpoints.values()
            )
            self._authorities = frozenset().union(*sides)
        return self._authorities
