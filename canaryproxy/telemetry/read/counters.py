"""Counts of all workers since the instance started: deltas added up, by route and version. Pure.

Sums outlive the workers that counted, so they never decrease. Gauges (exchanges in flight, tunnels, ejected endpoints)
are kept per worker and dropped when the worker exits.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from canaryproxy.model.report import Delta

# Route and version.
Side = tuple[str, str]


@dataclass(slots=True)
class VersionSums:
    """Sums of one version of one route. Histograms map bucket index to count (`record.histogram`). `attempts` counts
    first and repeated attempts by outcome, `retries` the repeated ones, `mirrored` copies by outcome.
    """

    codes: Counter[int] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    rescues: Counter[str] = field(default_factory=Counter)
    duration: Counter[int] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)
    goal_events: Counter[str] = field(default_factory=Counter)
    goal_values: dict[str, float] = field(default_factory=dict)
    mirrored: Counter[str] = field(default_factory=Counter)
    mirror_sent: int = 0
    mirror_dropped: int = 0
    retries: int = 0
    ejections: int = 0

    @property
    def requests(self) -> int:
        """Requests answered."""
        return self.codes.total()

    @property
    def errors(self) -> int:
        """Requests answered with a 5xx."""
        return sum(count for code, count in self.codes.items() if code >= 500)


@dataclass(slots=True)
class WorkerGauges:
    """Gauges of one worker, as of its last report."""

    in_flight: dict[Side, int] = field(default_factory=dict)
    tunnels: dict[Side, int] = field(default_factory=dict)
    ejected: frozenset[str] = frozenset()
    held: int = 0
    room: int = 0


class Counters:
    """The sums of an instance. Workers are identified by their slots."""

    def __init__(self) -> None:
        self.by_side: defaultdict[Side, VersionSums] = defaultdict(VersionSums)
        self.refused: Counter[int] = Counter()
        self.turned_away: Counter[str] = Counter()
        self.evicted: Counter[str] = Counter()
        self.shed = 0
        self._gauges: dict[int, WorkerGauges] = {}

    def add(self, slot: int, delta: Delta) -> None:
        """Add the report of a worker."""
        self.refused.update(dict(delta.refused))
        self.turned_away.update(dict(delta.turned_away))
        self.evicted.update(dict(delta.evicted))
        for cell in delta.cells:
            side = cell.key.route, cell.key.version
            sums = self.by_side[side]
            sums.decisions[cell.key.reason] += cell.starts
            sums.retries += sum(cell.retried.values())
            sums.ejections += cell.ejections
            for counter, news in (
                (sums.codes, cell.codes),
                (sums.attempts, cell.outcomes),
                (sums.attempts, cell.retried),
                (sums.rescues, cell.rescues),
                (sums.duration, cell.duration),
                (sums.latency, cell.latency),
            ):
                for key, count in news.items():
                    counter[key] += count  # type: ignore[index]
        for goal in delta.goals:
            self.goal_reached((goal.route, goal.version), goal.goal, goal.events, goal.value)
        for mirror in delta.mirrors:
            sums = self.by_side[mirror.route, "canary"]
            sums.mirror_sent += mirror.sent
            sums.mirror_dropped += mirror.dropped
            sums.mirrored.update(dict(mirror.outcomes))
        self.shed += delta.shed
        in_flight, tunnels = dict(delta.in_flight), dict(delta.tunnels)
        self._gauges[slot] = WorkerGauges(in_flight, tunnels, delta.ejected, delta.held, delta.room)

    def goal_reached(self, side: Side, goal: str, events: int, value: float) -> None:
        """Count events of a goal and the sum of their values."""
        sums = self.by_side[side]
        sums.goal_events[goal] += events
        sums.goal_values[goal] = sums.goal_values.get(goal, 0.0) + value

    def worker_exited(self, slot: int) -> None:
        """Drop the gauges of a worker that has exited."""
        self._gauges.pop(slot, None)

    def retain(self, routes: Set[str]) -> None:
        """Drop routes that are no longer configured."""
        for side in [side for side in self.by_side if side[0] not in routes]:
            del self.by_side[side]

    def sums(self, route: str, version: str) -> VersionSums:
        """The sums of one version; all zero if nothing was counted."""
        return self.by_side.get((route, version)) or VersionSums()

    def in_flight(self, side: Side) -> int:
        """Exchanges open now."""
        return sum(gauges.in_flight.get(side, 0) for gauges in self._gauges.values())

    def tunnels(self, side: Side) -> int:
        """Tunnels open now."""
        return sum(gauges.tunnels.get(side, 0) for gauges in self._gauges.values())

    @property
    def buffers(self) -> tuple[int, int, int]:
        """Bytes that buffers hold, their limit, and connections closed so far because of it."""
        gauges = self._gauges.values()
        return sum(one.held for one in gauges), sum(one.room for one in gauges), self.shed

    def ejected(self, authorities: Iterable[str]) -> set[str]:
        """The endpoints among these that any worker has ejected."""
        return {one for one in authorities if any(one in gauges.ejected for gauges in self._gauges.values())}

    def __str__(self) -> str:
        """One sentence, such as `812 requests: default stable 731 (2 failed), default canary 81 (0 failed)`."""
        served = sum(sums.requests for sums in self.by_side.values()) + self.refused.total()
        parts = [
            f"{route} {version} {sums.requests:,} ({sums.errors:,} failed)"
            for (route, version), sums in sorted(self.by_side.items())
        ]
        if self.refused:
            parts.append(f"refused {self.refused.total():,}")
        return f"{served:,} requests" + (f": {', '.join(parts)}" if parts else "")
