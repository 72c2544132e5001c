"""The whole judge of a route with all checks, which gets a report per second."""

from dataclasses import dataclass

import numpy as np

from bench.judge import latency
from bench.judge.dependence import cell
from bench.judge.splitter import Splitters, Stock
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import AnalysisSpec
from canaryproxy.model.table import VersionName


@dataclass(frozen=True)
class Setting:
    """Traffic; rates of errors and refusals, 0..1; how much slower the canary is. `history`: seconds before the canary
    has a share.
    """

    rate: float = 100.0
    weight: int = 500
    stable: float = 0.01
    canary: float = 0.01
    refused: float = 0.02
    slower: float = 1.0
    history: int = 60
    seconds: int = 3600


@dataclass
class Ended:
    """The result of a run: when it failed, when it first passed, which checks were better at the end."""

    failed: float | None = None
    passed: float | None = None
    better: tuple[str, ...] = ()


def run(setting: Setting, stock: Stock, seed: int) -> Ended:
    """One canary."""
    rng = np.random.default_rng(seed)
    judge = Judge(AnalysisSpec(), affinity=False, rng=rng.random)
    split, ended = Splitters(1, rng), Ended()
    shape = latency.Setting(setting.rate, setting.weight, slower=setting.slower)
    for second in range(setting.history + setting.seconds):
        now, weight = float(second), setting.weight if second >= setting.history else 0
        judge.advance(now, weight)
        requests = rng.poisson(setting.rate, 1)
        canary = split.canary(requests, stock) if weight else np.zeros(1, dtype=np.int64)
        load = latency.LOAD * rng.standard_normal(1)
        versions: tuple[tuple[VersionName, np.ndarray, float], ...] = (
            ("canary", canary, setting.canary),
            ("stable", requests - canary, setting.stable),
        )
        for version, count, rate in versions:
            if count[0]:
                failed = int(rng.binomial(count[0], rate))
                found = latency.histograms(rng, count, load, shape, canary=version == "canary")[0]
                refused = int(rng.binomial(count[0] - failed, setting.refused))
                times = {(int(one) + latency.BUCKETS.start) << 1: int(found[one]) for one in np.flatnonzero(found)}
                one = cell(version, f"{version}:1", second, int(count[0]), failed, refused, times)
                judge.count(one, current=True)
        judge.reported(0, now + 1, ())
        judge.tick(now + 1, weight, now + 1)
        if judge.failed(now + 1) is not None:
            ended.failed = now + 1 - setting.history
            break
        if weight and ended.passed is None and second % 5 == 0 and judge.analysis(now + 1).verdict == "pass":
            ended.passed = now + 1 - setting.history
    ended.better = tuple(one.name for one in judge.analysis(now + 1).checks if one.comparison == "better")
    return ended
