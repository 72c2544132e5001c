"""The names that workers may report: those of every published table, because an exchange keeps the decision it began
with. Replaced names stay known (a download may take hours): the last `MAX_TABLES` of each kind and route. Pure.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from canaryproxy.ipc.messages import Publication
from canaryproxy.model.table import Route
from canaryproxy.routing.compiled_route import ABORT, AFFINITY, WEIGHT

# Names of a kind that are in no table any more and still known.
MAX_TABLES = 10_000

# The endpoint of a decision for a version without endpoints.
NO_ENDPOINT_NAME = ""

# An ordered set, the latest name last.
Names = dict[str, None]


def learn(known: Names, names: Iterable[str], remembered: int = MAX_TABLES) -> None:
    """Make `names` current; of all others keep the latest `remembered`."""
    current = dict.fromkeys(names)
    for name in current:
        known.pop(name, None)
    known.update(current)
    for old in list(known)[: max(len(known) - len(current) - remembered, 0)]:
        del known[old]


@dataclass(slots=True)
class RouteNames:
    """Names in one route: endpoints by version, goals, and the reasons of decisions."""

    endpoints: dict[str, Names] = field(default_factory=dict)
    goals: Names = field(default_factory=dict)
    rules: Names = field(default_factory=dict)

    def add(self, route: Route) -> None:
        """Add the names of a published route; its rules are added separately."""
        for version in route.versions:
            names = (NO_ENDPOINT_NAME, *(endpoint.authority for endpoint in version.endpoints))
            learn(self.endpoints.setdefault(version.name, {}), names)
        learn(self.goals, (goal.name for goal in route.goals))


class KnownNames:
    """All names of published tables, without those replaced long ago."""

    REASONS: Set[str] = frozenset((WEIGHT, AFFINITY, ABORT))
    """Reasons of decisions that no rule made."""

    def __init__(self) -> None:
        self.routes: dict[str, RouteNames] = {}
        self._authorities: Set[str] | None = frozenset()

    def __repr__(self) -> str:
        return f"<KnownNames of {len(self.routes)} routes>"

    def add(self, publication: Publication) -> None:
        """Add a publication. Must be called for every publication, in order, before a worker receives it."""
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
        """All endpoints. Gathered on demand: few reports name endpoints outside a route."""
        if self._authorities is None:
            sides = (names for route in self.routes.values() for names in route.endpoints.values())
            self._authorities = frozenset(name for names in sides for name in names)
        return self._authorities
