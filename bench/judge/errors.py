"""Simulated errors: false alarms of a healthy canary, delays of a bad one, ramps, outages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.judge.rivals import Z_99, FixedRule, PeekedZ
from bench.judge.splitter import Splitters, Stock
from bench.judge.twin import HigherRates

ALARM = 100.0
NEVER = -1


@dataclass(frozen=True)
class Setting:
    """Traffic: requests per second, weight in basis points, rates of errors 0..1. `ratio` is the tolerated one."""

    rate: float
    weight: int
    stable: float
    canary: float
    ratio: float = 1.1
    floor: float = 0.001
    seconds: int = 10_000
    runs: int = 2000
    look: float = 1.0


@dataclass
class Found:
    """The look (from 1) of the first alarm of each judge in each run; `NEVER` without an alarm."""

    judge: np.ndarray
    relative: np.ndarray
    z: np.ndarray
    strikes: dict[int, np.ndarray]
    canary: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def blank(runs: int, strikes: Sequence[int] = (1, 5)) -> "Found":
        """No response yet."""
        judge, relative, z = (np.full(runs, NEVER) for _ in range(3))
        return Found(judge, relative, z, {one: np.full(runs, NEVER) for one in strikes}, np.zeros(runs))


def first(found: np.ndarray, now: np.ndarray, look: int) -> None:
    """Note first alarms."""
    found[(found == NEVER) & now] = look


Rates = Callable[[int], tuple[float, float]]
"""Rates of stable and canary at a look."""


def simulate(
    setting: Setting,
    stocks: dict[int, Stock],
    seed: int,
    *,
    rates: Rates | None = None,
    weight: Callable[[int], int] | None = None,
    until_found: bool = False,
) -> Found:
    """Simulate all runs for the time of the setting, or until the judge has an alarm in each."""
    rng = np.random.default_rng(seed)
    runs = setting.runs
    split, judge, z, rule = (
        Splitters(runs, rng),
        HigherRates(setting.ratio, setting.floor, runs),
        PeekedZ(runs),
        FixedRule(0.01, runs),
    )
    found = Found.blank(runs)
    for look in range(1, int(setting.seconds / setting.look) + 1):
        p_s, p_c = rates(look) if rates else (setting.stable, setting.canary)
        requests = rng.poisson(setting.rate * setting.look, runs)
        canary = split.canary(requests, stocks[weight(look) if weight else setting.weight])
        stable = requests - canary
        failed, stable_failed = rng.binomial(canary, p_c), rng.binomial(stable, p_s)
        judge.bet(canary, failed, stable, stable_failed)
        found.canary += np.where(found.judge == NEVER, canary, 0)
        first(found.judge, judge.value >= ALARM, look)
        first(found.relative, judge.relative.value >= ALARM, look)
        first(found.z, z.look(canary, failed, stable, stable_failed) > Z_99, look)
        if setting.look == 1:
            rule.look(look - 1, canary, failed)
            for strikes, when in found.strikes.items():
                first(when, rule.strikes >= strikes, look)
        spoken = [found.judge, *(found.strikes.values() if setting.look == 1 else ())]
        if until_found and all((when != NEVER).all() for when in spoken):
            break
    found.extra["z at the end"] = z.look(*(np.zeros(runs) for _ in range(4))) > Z_99
    return found
