"""Live figures per version, summed up from the deltas of the workers. Pure."""

from collections import Counter, deque
from dataclasses import dataclass, field

from canaryproxy.model.report import Delta
from canaryproxy.telemetry.record.histogram import quantile

RATE_SECONDS = 10.0
"""Window of the request rate."""


@dataclass(slots=True)
class VersionTally:
    """Totals of a version. `latency` maps histogram bucket to count."""

    requests: int = 0
    errors: int = 0
    latency: Counter[int] = field(default_factory=Counter)
    recent: deque[tuple[float, int]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a version. `share` and `errors` in percent, times in milliseconds; None is unknown."""

    version: str
    requests: int
    share: float | None
    per_second: float
    errors: float | None
    p50: float | None
    p95: float | None


class Board:
    """Sums up the deltas of one route, without requests decided by rules."""

    def __init__(self, route: str) -> None:
        self._route = route
        self._tallies = {"stable": VersionTally(), "canary": VersionTally()}
        self._began: float | None = None
        self._at = 0.0

    def add(self, delta: Delta) -> None:
        """Add a delta."""
        self._at = delta.at
        if self._began is None:
            self._began = delta.at
        answered: Counter[str] = Counter()
        for cell in delta.cells:
            if cell.key.route != self._route or not cell.key.analysed:
                continue
            tally = self._tallies[cell.key.version]
            done = sum(cell.codes.values())
            answered[cell.key.version] += done
            tally.requests += done
            tally.errors += sum(count for code, count in cell.codes.items() if code >= 500)
            tally.latency.update(dict(cell.latency))
        for version, tally in self._tallies.items():
            tally.recent.append((delta.at, answered[version]))
            while tally.recent and tally.recent[0][0] < delta.at - RATE_SECONDS:
                tally.recent.popleft()

    def figures(self) -> list[Figures]:
        """The figures of stable and canary, in this order."""
        total = sum(tally.requests for tally in self._tallies.values())
        return [self._figures(version, tally, total) for version, tally in self._tallies.items()]

    def _figures(self, version: str, tally: VersionTally, total: int) -> Figures:
        began = self._at if self._began is None else self._began
        span = min(self._at - began, RATE_SECONDS)
        return Figures(
            version=version,
            requests=tally.requests,
            share=100 * tally.requests / total if total else None,
            per_second=sum(count for _, count in tally.recent) / span if span else 0.0,
            errors=100 * tally.errors / tally.requests if tally.requests else None,
            p50=_milliseconds(quantile(tally.latency, 0.5)),
            p95=_milliseconds(quantile(tally.latency, 0.95)),
        )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
