"""Traffic as a judge hears of it: deltas of simulated seconds, with seeded dice."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from canaryproxy.analysis.finding import JudgeReport
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import AnalysisSpec
from canaryproxy.model.report import CounterDelta, CounterKey, GoalDelta, OpenRequests
from canaryproxy.telemetry.read.users import WeightPeriod
from canaryproxy.telemetry.record.histogram import value_bucket
from canaryproxy.telemetry.record.logarithm import bucket_of

REPORTS = 5
"""In a second."""


@dataclass
class Version:
    """How a version behaves: rates 0..1, latency in seconds."""

    errors: float = 0.0
    refusals: float = 0.0
    median: float = 0.02
    spread: float = 0.4
    hangs: float = 0.0
    buys: float = 0.0
    order: float = 30.0
    endpoints: tuple[str, ...] = ("a:1",)


@dataclass
class World:
    """Two versions behind one judge."""

    stable: Version = field(default_factory=Version)
    canary: Version = field(default_factory=Version)
    rate: float = 300.0
    weight: int = 500
    spec: AnalysisSpec = field(default_factory=AnalysisSpec)
    affinity: bool = False
    goal: str = ""
    valued: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.judge = Judge(self.spec, affinity=self.affinity, rng=random.Random(self.seed + 1).random)
        self.now = 1000.0
        self.judge.advance(self.now, self.weight)
        self.hanging: dict[tuple[str, int], int] = {}
        self.drawn = 0.0

    def run(self, seconds: int, until: Callable[[JudgeReport], bool] = lambda _: False) -> float | None:
        """Let time pass; the seconds until the analysis is as wanted, None if it never was."""
        for second in range(seconds):
            for report in range(REPORTS):
                self.report()
                self.now += 1 / REPORTS
                failed = self.judge.failed(self.now)
                if failed is not None and until(failed):
                    return second + (report + 1) / REPORTS
            self.judge.tick(self.now, self.weight, self.now)
            if until(self.judge.analysis(self.now)):
                return second + 1.0
        return None

    def report(self) -> None:
        self.judge.advance(self.now, self.weight)
        for name, version, share in (
            ("stable", self.stable, 1 - self.weight / 10_000),
            ("canary", self.canary, self.weight / 10_000),
        ):
            count = self._poisson(self.rate * share / REPORTS)
            if count:
                self._requests(name, version, count)
        waiting = tuple(
            OpenRequests(key(version), second, count)
            for (version, second), count in self.hanging.items()
            if second < int(self.now) - 1
        )
        self.judge.reported(0, self.now, waiting)

    def _requests(self, name: str, version: Version, count: int) -> None:
        second = int(self.now)
        rng = self.rng.random
        hung = sum(rng() < version.hangs for _ in range(count))
        ended = count - hung
        failed = sum(rng() < version.errors for _ in range(ended))
        refused = sum(rng() < version.refusals for _ in range(ended - failed))
        if hung:
            self.hanging[name, second] = self.hanging.get((name, second), 0) + hung
        latency: dict[int, int] = {}
        for _ in range(ended):
            bucket = bucket_of(version.median * math.exp(version.spread * self.rng.gauss(0, 1)))
            latency[bucket] = latency.get(bucket, 0) + 1
        cell = CounterDelta(
            key(name, self.rng.choice(version.endpoints)),
            second,
            starts=count,
            outcomes={"success": ended - failed, "error_5xx": failed},
            latency=latency,
            replies={500: failed, 404: refused},
        )
        self.judge.count(cell, current=True)
        orders = [version.order * math.exp(0.5 * self.rng.gauss(0, 1)) for _ in range(ended) if rng() < version.buys]
        if self.goal and orders:
            values: dict[int, int] = {}
            for value in orders:
                bucket = value_bucket(value if self.valued else 1.0)
                values[bucket] = values.get(bucket, 0) + 1
            self.judge.goal_reached(GoalDelta("shop", name, self.goal, True, len(orders), sum(orders), values))

    def _poisson(self, mean: float) -> int:
        limit, count, product = math.exp(-mean), 0, self.rng.random()
        while product > limit:
            count += 1
            product *= self.rng.random()
        return count


def key(version: str, endpoint: str = "a:1") -> CounterKey:
    """Of requests that the weight decided."""
    return CounterKey("shop", version, endpoint, "weight", True)


def failing(analysis: JudgeReport) -> bool:
    """Whether the canary is to be taken back."""
    return analysis.verdict == "fail"


@dataclass
class Visitors:
    """Users of a route with affinity: each comes back now and then, and keeps their version."""

    world: World
    arrivals: float = 20.0
    bad: tuple[float, float] = (0.0, 0.0)
    buyers: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.step = WeightPeriod("shop", self.world.weight, 0.0)
        self.count = 0

    def second(self) -> None:
        rng = self.world.rng
        for _ in range(round(self.arrivals)):
            self.count += 1
            side = rng.random() >= self.world.weight / 10_000
            name = ("canary", "stable")[side]
            user = rng.getrandbits(64)
            failed = (user,) if rng.random() < self.bad[side] else ()
            self.world.judge.users_seen(self.step.add(name, (user,), failed, 0))
            if rng.random() < self.buyers[side]:
                self.world.judge.users_seen(self.step.goal_reached(name, self.world.goal, {user: 30.0}, 0))

    def run(self, seconds: int, until: Callable[[JudgeReport], bool] = lambda _: False) -> float | None:
        for second in range(seconds):
            self.second()
            if self.world.run(1, until) is not None:
                return second + 1.0
        return None
