"""Dependent requests: users that keep their version, machines that stall. Judged by the real code."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bench.judge.errors import ALARM
from bench.judge.splitter import Splitters, Stock
from canaryproxy.analysis.counting import UsersAtRisk
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import AnalysisSpec, Unit
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block, HigherRate
from canaryproxy.model.report import CounterDelta, CounterKey
from canaryproxy.model.table import VersionName

NONE: Mapping[int, int] = MappingProxyType({})

Counts = np.ndarray
"""A row per second: units of the canary, failed ones, units of stable, failed ones."""


def crosses(blocks: Counts) -> bool:
    """Whether the evidence of "worse" ever reaches the alarm."""
    judge, carried = HigherRate(1.1, 0.001), NOTHING
    for row in blocks:
        carried += Block(*map(int, row))
        if carried.whole:
            judge.bet(carried)
            carried = NOTHING
        if judge.value >= ALARM:
            return True
    return False


def crosses_by_user(fresh: np.ndarray, failing: np.ndarray) -> bool:
    """The same by users: those first seen and first failed in a second, of both versions."""
    judge, risk = HigherRate(1.1, 0.001), UsersAtRisk()
    for seen, hit in zip(fresh, failing, strict=True):
        block = risk.first_failures([int(one) for one in seen], [int(one) for one in hit])
        if block.whole:
            judge.bet(block, float(seen[0]))
        if judge.value >= ALARM:
            return True
    return False


@dataclass(frozen=True)
class Users:
    """Sessions: users arrive at random, return every second for about twenty times, and a few of them fail often."""

    arrivals: float = 5.0
    visits: float = 20.0
    bad: float = 0.02
    failing: float = 0.3
    seconds: int = 3600
    weight: int = 500

    def run(self, rng: np.random.Generator, stock: Stock) -> tuple[bool, bool, bool]:
        """One hour of equal versions. Whether the canary fails if the judge counts requests of users that keep their
        version, counts those users, or counts requests that are split one by one.
        """
        count = rng.poisson(self.arrivals * self.seconds)
        begin = rng.integers(0, self.seconds, count)
        length = rng.geometric(1 / self.visits, count)
        canary = rng.random(count) < self.weight / 10_000
        bad = rng.random(count) < self.bad
        user = np.repeat(np.arange(count), length)
        at = begin[user] + np.arange(user.size) - np.repeat(length.cumsum() - length, length)
        inside = at < self.seconds
        user, at = user[inside], at[inside]
        failed = bad[user] & (rng.random(user.size) < self.failing)
        sticky = self._by_second(at, canary[user], failed)
        first = np.full(count, self.seconds)
        np.minimum.at(first, user[failed], at[failed])
        hit = first < self.seconds
        fresh, failing = (
            np.stack([self._count(when[chosen & side]) for side in (canary, ~canary)], axis=1)
            for when, chosen in ((begin, np.ones(count, dtype=bool)), (first, hit))
        )
        return crosses(sticky), crosses_by_user(fresh, failing), crosses(self._split(rng, stock, sticky))

    def _count(self, when: np.ndarray) -> np.ndarray:
        return np.bincount(when, minlength=self.seconds)[: self.seconds]

    def _by_second(self, at: np.ndarray, canary: np.ndarray, failed: np.ndarray) -> Counts:
        sides = (canary, canary & failed, ~canary, ~canary & failed)
        return np.stack([self._count(at[side]) for side in sides], axis=1)

    def _split(self, rng: np.random.Generator, stock: Stock, sticky: Counts) -> Counts:
        """The same requests, each drawn by the splitter."""
        split, rows = Splitters(1, rng), []
        for canary, canary_failed, stable, stable_failed in sticky:
            total, failed = canary + stable, canary_failed + stable_failed
            drawn = int(split.canary(np.array([total]), stock)[0])
            hit = int(rng.hypergeometric(failed, total - failed, drawn)) if drawn else 0
            rows.append((drawn, hit, total - drawn, failed - hit))
        return np.array(rows)


@dataclass(frozen=True)
class Machines:
    """Equal machines of both versions that sometimes stall and then fail half of their requests. `times` is the factor
    by which those of the canary fail more often, `history` the seconds of observation of stable before the canary.
    """

    canaries: int
    unit: Unit | None
    stables: int = 19
    rate: float = 5.0
    base: float = 0.005
    stall: float = 3.0
    every: float = 900.0
    times: float = 1.0
    history: int = 3700
    seconds: int = 3600

    def run(self, seed: int) -> float | None:
        """Seconds until the whole judge fails the canary; None if it does not."""
        rng = np.random.default_rng(seed)
        spec = AnalysisSpec(unit=self.unit, latency=None, client_errors=None, limits=None)
        judge = Judge(spec, affinity=False, rng=rng.random)
        share = self.canaries / (self.canaries + self.stables)
        names: list[tuple[VersionName, str]] = [("canary", f"c{one}") for one in range(self.canaries)]
        names += [("stable", f"s{one}") for one in range(self.stables)]
        total = self.history + self.seconds
        ended = rng.poisson(self.rate, (total, len(names)))
        rates = np.where(self._stalls(rng, total, len(names)), 0.5, self.base)
        rates[:, : self.canaries] = np.minimum(rates[:, : self.canaries] * self.times, 1)
        failed = rng.binomial(ended, rates)
        ended[: self.history, : self.canaries] = failed[: self.history, : self.canaries] = 0
        for second in range(total):
            now = float(second)
            weight = round(share * 10_000) if second >= self.history else 0
            judge.advance(now, weight)
            for place, (version, endpoint) in enumerate(names):
                if ended[second, place]:
                    judge.count(
                        cell(version, endpoint, second, int(ended[second, place]), int(failed[second, place])),
                        current=True,
                    )
            judge.reported(0, now + 1, ())
            judge.tick(now + 1, weight, now + 1)
            if judge.failed(now + 1) is not None:
                return now + 1 - self.history
        return None

    def _stalls(self, rng: np.random.Generator, seconds: int, machines: int) -> np.ndarray:
        begins = rng.random((seconds, machines)) < (1 / self.every if self.stall else 0.0)
        ill = begins.copy()
        for later in range(1, int(self.stall)):
            ill[later:] |= begins[:-later]
        return ill


def cell(
    version: VersionName,
    endpoint: str,
    second: int,
    ended: int,
    failed: int,
    refused: int = 0,
    times: Mapping[int, int] = NONE,
) -> CounterDelta:
    """Requests of an endpoint that began in a second."""
    outcomes = {"success": ended - failed, "error_5xx": failed}
    replies = {500: failed, 404: refused}
    key = CounterKey("shop", version, endpoint, "weight", True)
    return CounterDelta(key, second, starts=ended, outcomes=outcomes, replies=replies, latency=times)
