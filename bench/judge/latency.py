"""Simulated latencies: lognormal, with a common load that changes every second."""

import math
from dataclasses import dataclass

import numpy as np

from bench.judge.errors import ALARM, NEVER, first
from bench.judge.rivals import Z_99, PeekedMeans, SlowRule
from bench.judge.splitter import Splitters, Stock
from bench.judge.twin import CHUNK, Slower
from canaryproxy.analysis.checks.latency import ALERT, PATIENT

MEDIAN = 0.05
"""Median latency in seconds."""

SIGMA = 0.6
LOAD = 0.1
BUCKETS = range(-150, 20)
"""From 1.5 ms to 2.4 s; other values count as the first or the last bucket."""

TWO_STEPS = 4
"""Buckets that the fixed rule lets a canary be slower: 19 %."""


@dataclass(frozen=True)
class Setting:
    """Traffic, and how the canary differs: all its requests take `slower` times as long, a tenth of them `tail` times.
    `patient`: bets as rarely as the product does without suspicion.
    """

    rate: float
    weight: int
    slower: float = 1.0
    tail: float = 1.0
    tolerance: float = 1.1
    floor: float = 0.002
    patient: bool = True
    seconds: int = 10_000
    runs: int = 2000
    rivals: bool = True


@dataclass
class Found:
    """The second of the first alarm of each judge in each run; `NEVER` without an alarm."""

    judge: np.ndarray
    means: np.ndarray
    strikes: dict[int, np.ndarray]
    canary: np.ndarray


def histograms(
    rng: np.random.Generator, counts: np.ndarray, load: np.ndarray, setting: Setting, *, canary: bool
) -> np.ndarray:
    """Latencies of so many requests in each run, as rows of counts."""
    run = np.repeat(np.arange(counts.size), counts)
    logs = rng.standard_normal(run.size, dtype=np.float32) * SIGMA + (math.log(MEDIAN) + load)[run].astype(np.float32)
    if canary:
        logs += math.log(setting.slower)
        if setting.tail != 1:
            logs += np.where(rng.random(run.size) < 0.1, math.log(setting.tail), 0).astype(np.float32)
    bucket = np.ceil(logs * np.float32(16 / math.log(2))).astype(np.int32) - 1 - BUCKETS.start
    np.clip(bucket, 0, len(BUCKETS) - 1, out=bucket)
    size = counts.size * len(BUCKETS)
    return np.bincount(run * len(BUCKETS) + bucket, minlength=size).reshape(counts.size, len(BUCKETS)).astype(float)


def simulate(setting: Setting, stocks: dict[int, Stock], seed: int, *, until_found: bool = False) -> Found:
    """Simulate all runs for the time of the setting, or until the judge has an alarm in each."""
    rng = np.random.default_rng(seed)
    runs, size = setting.runs, len(BUCKETS)
    split, judge = Splitters(runs, rng), Slower(setting.tolerance, setting.floor, BUCKETS, runs)
    rule, means = SlowRule(TWO_STEPS, runs, size), PeekedMeans(runs, size)
    found = Found(
        np.full(runs, NEVER), np.full(runs, NEVER), {1: np.full(runs, NEVER), 5: np.full(runs, NEVER)}, np.zeros(runs)
    )
    waiting = np.zeros((2, runs, size))
    for second in range(1, setting.seconds + 1):
        requests = rng.poisson(setting.rate, runs)
        canary = split.canary(requests, stocks[setting.weight])
        load = LOAD * rng.standard_normal(runs)
        now = [
            histograms(rng, canary, load, setting, canary=True),
            histograms(rng, requests - canary, load, setting, canary=False),
        ]
        waiting[0] += now[0]
        waiting[1] += now[1]
        due = np.full(runs, not setting.patient or second % PATIENT == 0) | (judge.value >= ALERT)
        which = np.flatnonzero(due & (waiting[0].any(axis=1)) & (waiting[1].any(axis=1)))
        for begin in range(0, which.size, CHUNK):
            part = which[begin : begin + CHUNK]
            judge.bet(waiting[0][part], waiting[1][part], part)
            waiting[:, part] = 0
        found.canary += np.where(found.judge == NEVER, canary, 0)
        first(found.judge, judge.value >= ALARM, second)
        if setting.rivals:
            rule.look(second, *now)
            for strikes, when in found.strikes.items():
                first(when, rule.strikes >= strikes, second)
            first(found.means, means.look(*now) > Z_99, second)
        if until_found and (found.judge != NEVER).all():
            break
    return found
