"""Figures of a run: percentiles of what watchers saw, and what the flood reached. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.attacks.watch import Sample


class Pulse(NamedTuple):
    """What the flood has, and has done so far, after so many milliseconds."""

    milliseconds: int
    held: int
    opened: int
    closed: int
    good: int
    other: int
    refused: int


@dataclass(frozen=True, slots=True)
class Reached:
    """What the flood was: connections held (median and most), and a second: opened, and answers, 2xx and others."""

    seconds: float
    held: int
    most: int
    opened: float
    answered: float
    otherwise: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one watcher saw in a phase. `p99` in milliseconds, None where it saw nothing."""

    p99: float | None
    worst: float | None
    asked: int
    failed: int

    @property
    def served(self) -> int:
        """Requests that were answered."""
        return self.asked - self.failed


@dataclass(frozen=True, slots=True)
class Run:
    """One subject under one flood. Memory in bytes: `charged` to its cgroup at most, `sockets`: in TCP buffers beside
    that, `limit` of the cgroup. `kills` is None without one.
    """

    subject: str
    flood: str
    shared: bool
    quiet: dict[str, Seen]
    flooded: dict[str, Seen]
    after: dict[str, Seen]
    reached: Reached
    resident: int
    charged: int | None
    sockets: int | None
    limit: int | None
    kills: int | None
    restarts: int | None
    compiled: bool | None
    died: bool


def percentile(values: Iterable[float], share: float) -> float | None:
    """The nearest rank: the smallest value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def seen(samples: Iterable[Sample], since: float, until: float) -> Seen:
    """What was due in a phase. Only what was really sent counts as asked."""
    those = [one for one in samples if since <= one.at < until]
    times = [one.seconds * 1000 for one in those]
    first = [one for one in those if one.first]
    return Seen(percentile(times, 0.99), max(times, default=None), len(first), sum(one.failed for one in first))


def reached(pulses: Sequence[Pulse]) -> Reached:
    """The flood in figures."""
    if not pulses:
        return Reached(0.0, 0, 0, 0.0, 0.0, 0.0)
    last, seconds = pulses[-1], pulses[-1].milliseconds / 1000
    held = [one.held for one in pulses]
    each = (last.opened / seconds, last.good / seconds, last.other / seconds)
    return Reached(seconds, int(statistics.median(held)), max(held), *(round(one, 1) for one in each))
