"""Comparison of the twin with the real code: the same blocks must give the same evidence at every look."""

import numpy as np

from bench.judge import latency, twin
from bench.judge.splitter import Splitters, Stock
from canaryproxy.analysis.checks.latency import ALERT, PATIENT
from canaryproxy.analysis.stats.rank_tests import StableHistory, slower
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block, HigherRate

CLOSE = 1e-9


class TwinDiffersError(Exception):
    """The twin differs from the real code."""


def compare(ours: float, theirs: float, where: str) -> None:
    """Raise `TwinDiffersError` unless two values are equal up to rounding."""
    if abs(ours - theirs) > CLOSE * max(abs(ours), abs(theirs), 1.0):
        raise TwinDiffersError(f"{where}: the twin says {theirs!r}, the real code {ours!r}")


def errors(rate: float, stock: Stock, rates: tuple[float, float], looks: int, runs: int, seed: int) -> int:
    """Compare all runs of a setting at every look; returns the number of looks."""
    rng = np.random.default_rng(seed)
    split, many = Splitters(runs, rng), twin.HigherRates(1.1, 0.001, runs)
    real = [HigherRate(1.1, 0.001) for _ in range(runs)]
    carried = [NOTHING] * runs
    for look in range(looks):
        requests = rng.poisson(rate, runs)
        canary = split.canary(requests, stock)
        stable = requests - canary
        failed, stable_failed = rng.binomial(canary, rates[1]), rng.binomial(stable, rates[0])
        many.bet(canary, failed, stable, stable_failed)
        for run, judge in enumerate(real):
            block = carried[run] + Block(int(canary[run]), int(failed[run]), int(stable[run]), int(stable_failed[run]))
            carried[run] = NOTHING if block.whole else block
            if block.whole:
                judge.bet(block)
            compare(judge.value, float(many.value[run]), f"errors, run {run}, look {look}")
    return looks * runs


def latencies(setting: latency.Setting, stock: Stock, seconds: int, runs: int, seed: int) -> int:
    """The same for latencies."""
    rng = np.random.default_rng(seed)
    split, many = Splitters(runs, rng), twin.Slower(setting.tolerance, setting.floor, latency.BUCKETS, runs)
    pasts = [StableHistory() for _ in range(runs)]
    real = [slower(past, setting.tolerance, setting.floor) for past in pasts]
    waiting = np.zeros((2, runs, len(latency.BUCKETS)))
    for second in range(1, seconds + 1):
        requests = rng.poisson(setting.rate, runs)
        canary = split.canary(requests, stock)
        load = latency.LOAD * rng.standard_normal(runs)
        waiting[0] += latency.histograms(rng, canary, load, setting, canary=True)
        waiting[1] += latency.histograms(rng, requests - canary, load, setting, canary=False)
        due = np.full(runs, second % PATIENT == 0) | (many.value >= ALERT)
        which = np.flatnonzero(due & (waiting[0].any(axis=1)) & (waiting[1].any(axis=1)))
        many.bet(waiting[0][which], waiting[1][which], which)
        for run in map(int, which):
            slow, calm = (
                {int(one) + latency.BUCKETS.start: int(side[run][one]) for one in np.flatnonzero(side[run])}
                for side in waiting
            )
            real[run].bet(slow, calm)
            pasts[run].add(calm)
        waiting[:, which] = 0
        for run, judge in enumerate(real):
            compare(judge.value, float(many.value[run]), f"latency, run {run}, second {second}")
    return seconds * runs
