"""Recent counts of each version, in time slots that get coarser with age. Pure.

Slots of 1 s reach back two minutes, of 10 s twenty, of 60 s an hour. An exchange is counted when it is reported, not
when it began: a window includes timeouts of older requests. Only requests decided by weight or affinity count, by their
first attempt.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from canaryproxy.model.failure import FAILURES, Outcome
from canaryproxy.model.report import CounterDelta, Delta, GoalDelta
from canaryproxy.telemetry.read.counters import Side
from canaryproxy.telemetry.record.histogram import quantile, total_seconds

# Seconds of a slot, and seconds that its slots reach back.
RESOLUTIONS = ((1, 120), (10, 1200), (60, 3600))

MAX_WINDOW_SECONDS = 3600.0
# Seconds over which `observed_weight` is measured.
OBSERVED = 60.0

NEUTRAL = frozenset((Outcome.CLIENT_ABORT, Outcome.OVERFLOW))


@dataclass(slots=True)
class GoalCount:
    """Events of a goal, and the sum of their values."""

    count: int = 0
    value: float = 0.0


@dataclass(slots=True)
class Sample:
    """Counts of one version in one period. `requests` have ended and can be judged; `latency` maps bucket to count."""

    starts: int = 0
    requests: int = 0
    errors: int = 0
    latency: Counter[int] = field(default_factory=Counter)
    goals: dict[str, GoalCount] = field(default_factory=dict)

    def count(self, cell: CounterDelta) -> None:
        """Add a cell of a worker's report."""
        self.starts += cell.starts
        for outcome, count in cell.outcomes.items():
            if outcome not in NEUTRAL:
                self.requests += count
                if outcome in FAILURES:
                    self.errors += count
        latency = self.latency
        for bucket, count in cell.latency.items():
            latency[bucket] += count

    def goal_reached(self, goal: str, events: int, value: float) -> None:
        """Add events of a goal."""
        count = self.goals.setdefault(goal, GoalCount())
        count.count += events
        count.value += value

    def merge(self, other: "Sample") -> None:
        """Add the counts of another period."""
        self.starts += other.starts
        self.requests += other.requests
        self.errors += other.errors
        self.latency.update(other.latency)
        for goal, events in other.goals.items():
            self.goal_reached(goal, events.count, events.value)

    @property
    def error_rate(self) -> float | None:
        """Share of requests that failed, 0..1; None without requests."""
        return self.errors / self.requests if self.requests else None

    @property
    def mean(self) -> float | None:
        """Mean latency in seconds, within 1.1 %; None without measurements."""
        total = self.latency.total()
        return total_seconds(self.latency) / total if total else None

    def quantile(self, q: float) -> float | None:
        """A quantile of the latency in seconds, within 1.1 %; None without measurements."""
        return quantile(self.latency, q)


class SampleHistory:
    """One version's slots at every resolution."""

    def __init__(self) -> None:
        self._slots: tuple[dict[int, Sample], ...] = tuple({} for _ in RESOLUTIONS)

    def at(self, at: float) -> Iterator[Sample]:
        """The slots for a time, one per resolution."""
        for (width, reach), slots in zip(RESOLUTIONS, self._slots, strict=True):
            number = int(at) // width
            sample = slots.get(number)
            if sample is None:
                sample = slots[number] = Sample()
                for old in [one for one in slots if one < number - reach // width]:
                    del slots[old]
            yield sample

    def sample(self, now: float, window: float) -> Sample:
        """The last `window` seconds, from the finest slots that reach back that far."""
        merged = Sample()
        for (width, reach), slots in zip(RESOLUTIONS, self._slots, strict=True):
            if window <= reach:
                last = int(now) // width
                for number, slot in slots.items():
                    if last - window / width < number <= last:
                        merged.merge(slot)
                break
        return merged


class Window:
    """Recent counts of all versions. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._histories: defaultdict[Side, SampleHistory] = defaultdict(SampleHistory)

    def add(self, delta: Delta) -> None:
        """Add a worker's report."""
        for cell in delta.cells:
            if cell.key.analysed:
                for sample in self._histories[cell.key.route, cell.key.version].at(delta.at):
                    sample.count(cell)
        for goal in delta.goals:
            if goal.analysed:
                self.goal_reached(goal, delta.at)

    def goal_reached(self, goal: GoalDelta, at: float) -> None:
        """Add events of a goal."""
        for sample in self._histories[goal.route, goal.version].at(at):
            sample.goal_reached(goal.goal, goal.events, goal.value)

    def retain(self, routes: Set[str]) -> None:
        """Drop routes that are no longer configured."""
        for side in [side for side in self._histories if side[0] not in routes]:
            del self._histories[side]

    def sample(self, side: Side, now: float, window: float) -> Sample:
        """The counts of a version in the last `window` seconds, an hour at most."""
        history = self._histories.get(side)
        return Sample() if history is None else history.sample(now, min(window, MAX_WINDOW_SECONDS))

    def observed_weight(self, route: str, now: float) -> float | None:
        """The canary's share of the decisions of the last minute, percent; None without decisions."""
        canary = self.sample((route, "canary"), now, OBSERVED).starts
        total = canary + self.sample((route, "stable"), now, OBSERVED).starts
        return 100 * canary / total if total else None
