"""The parts of the simulation: lists of tasks that processes share; a task returns plain numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bench.judge import dependence, equality, errors, latency, whole
from bench.judge.errors import NEVER, Setting
from bench.judge.splitter import Stock

WEIGHTS = (100, 500, 1500, 2000, 5000)
RATES = (10, 100, 1000)

Stocks = Mapping[int, Stock]
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One row of a table. `work` gets the splitters and a seed."""

    part: str
    work: Callable[[Stocks, int], Row]


CALM = tuple(
    Setting(rate, weight, p, p)
    for rate, weight, p in (
        (10, 500, 0.001), (10, 500, 0.01), (10, 2000, 0.05), (100, 100, 0.001), (100, 500, 0.0001), (100, 500, 0.001),
        (100, 500, 0.01), (100, 500, 0.05), (100, 2000, 0.01), (100, 5000, 0.01), (300, 500, 0.02), (1000, 100, 0.01),
        (1000, 500, 0.001), (1000, 2000, 0.01),
    )
)  # fmt: skip
"""Traffic with a healthy canary."""

EFFECTS = ((0.001, 0.003), (0.001, 0.01), (0.01, 0.02), (0.05, 1.0))
CALM_LATENCY = tuple(
    latency.Setting(rate, weight)
    for rate, weight in ((10, 500), (10, 2000), (100, 100), (100, 500), (100, 2000), (100, 5000), (300, 500))
)


def _traffic(setting: Setting | latency.Setting) -> str:
    """In words."""
    return f"{setting.rate:g}/s, {setting.weight / 100:g} %"


def equal(setting: Setting, stocks: Stocks, seed: int) -> Row:
    """The twin compared with the real code."""
    rates = setting.stable, setting.canary
    looks = equality.errors(setting.rate, stocks[setting.weight], rates, 500, 20, seed)
    return {"what": "errors", "traffic": _traffic(setting), "stable": rates[0], "looks": looks}


def equal_latency(setting: latency.Setting, stocks: Stocks, seed: int) -> Row:
    """The same for latency."""
    looks = equality.latencies(setting, stocks[setting.weight], 400, 20, seed)
    return {"what": "latency", "traffic": _traffic(setting), "stable": None, "looks": looks}


def crossed(when: np.ndarray) -> int:
    """The number of runs in which a judge had an alarm."""
    return int((when != NEVER).sum())


def false_errors(setting: Setting, stocks: Stocks, seed: int) -> Row:
    """False alarms of each judge for a canary that equals stable."""
    found = errors.simulate(setting, dict(stocks), seed)
    return {"traffic": _traffic(setting), "stable": setting.stable, **_condemned(found, setting.runs)}


def _condemned(found: errors.Found, runs: int) -> Row:
    return {
        "runs": runs, "judge": crossed(found.judge), "relative": crossed(found.relative), "z": crossed(found.z),
        "rule 1": crossed(found.strikes[1]), "rule 5": crossed(found.strikes[5]),
    }  # fmt: skip


def quantiles(when: np.ndarray, scale: float = 1.0) -> tuple[float | None, float | None]:
    """Median and 90 % quantile of the looks of an alarm; None for one beyond the end."""
    late = np.where(when == NEVER, np.inf, when * scale)
    found = (float(np.quantile(late, q, method="higher")) for q in (0.5, 0.9))
    median, most = (None if one == np.inf else one for one in found)
    return median, most


def delay(setting: Setting, stocks: Stocks, seed: int) -> Row:
    """Delay of the alarm for a bad canary."""
    found = errors.simulate(setting, dict(stocks), seed, until_found=True)
    median, most = quantiles(found.judge, setting.look)
    strikes = {f"rule {one}": quantiles(when)[0] for one, when in found.strikes.items()}
    return {
        "rate": setting.rate, "weight": setting.weight, "stable": setting.stable, "canary": setting.canary,
        "ratio": setting.ratio, "found": crossed(found.judge) / setting.runs, "median": median, "p90": most,
        "relative": quantiles(found.relative, setting.look)[0],
        "requests": float(np.median(found.canary[found.judge != NEVER])) if crossed(found.judge) else None,
        "seconds": setting.seconds, **(strikes if setting.look == 1 else {"rule 1": 60, "rule 5": 300}),
    }  # fmt: skip


def false_latency(setting: latency.Setting, stocks: Stocks, seed: int) -> Row:
    """The same for latency."""
    found = latency.simulate(setting, dict(stocks), seed)
    return {
        "traffic": _traffic(setting), "slower": setting.slower, "runs": setting.runs, "judge": crossed(found.judge),
        "z": crossed(found.means), "rule 1": crossed(found.strikes[1]), "rule 5": crossed(found.strikes[5]),
    }  # fmt: skip


def slow(setting: latency.Setting, stocks: Stocks, seed: int) -> Row:
    """Delay of the alarm for a slow canary."""
    found = latency.simulate(setting, dict(stocks), seed, until_found=True)
    median, most = quantiles(found.judge)
    return {
        **{key: value for key, value in asdict(setting).items() if key not in {"runs", "rivals"}},
        "found": crossed(found.judge) / setting.runs, "median": median, "p90": most,
        "requests": float(np.median(found.canary[found.judge != NEVER])) if crossed(found.judge) else None,
    }  # fmt: skip


RAMP = ((0, 100), (2500, 500), (5000, 2000), (7500, 5000))
"""The look from which a weight holds."""


def ramp(name: str, rate: float, stocks: Stocks, seed: int) -> Row:
    """A ramp while the errors of both versions increase tenfold."""

    def weight(look: int) -> int:
        return next(share for since, share in reversed(RAMP) if look >= since)

    def rates(look: int) -> tuple[float, float]:
        common = 0.002 * 10 ** (look / 10_000)
        return common, common

    setting = Setting(rate, 100, 0.002, 0.002, runs=1000)
    found = errors.simulate(setting, dict(stocks), seed, rates=rates, weight=weight)
    return {"what": name, **_condemned(found, setting.runs), "pooled": int(found.extra["z at the end"].sum())}


def outage(name: str, level: float, weight: int, stocks: Stocks, seed: int) -> Row:
    """Both versions fail together for a minute."""
    setting = Setting(100, weight, 0.002, 0.002, seconds=1200, runs=2000)

    def rates(look: int) -> tuple[float, float]:
        common = level if 600 <= look < 660 else 0.002
        return common, common

    found = errors.simulate(setting, dict(stocks), seed, rates=rates)
    return {"what": name, **_condemned(found, setting.runs), "pooled": int(found.extra["z at the end"].sum())}


def users(count: int, stocks: Stocks, seed: int) -> Row:
    """Users that keep their version, and fail or do not."""
    found = [dependence.Users().run(np.random.default_rng((seed, one)), stocks[500]) for one in range(count)]
    sticky, by_user, coin = (sum(one) for one in zip(*found, strict=True))
    return {"runs": count, "sticky": sticky, "by user": by_user, "coin": coin}


def machines(name: str, setting: dependence.Machines, count: int, _: Stocks, seed: int) -> Row:
    """Machines that stall."""
    found = [setting.run(seed * 10_000 + one) for one in range(count)]
    when = [one for one in found if one is not None]
    return {"what": name, "runs": count, "condemned": len(when), "median": float(np.median(when)) if when else None}


def all_checks(name: str, setting: whole.Setting, count: int, stocks: Stocks, seed: int) -> Row:
    """The whole judge."""
    found = [whole.run(setting, stocks[setting.weight], seed * 10_000 + one) for one in range(count)]
    failed = [one.failed for one in found if one.failed is not None]
    passed = [one.passed for one in found if one.passed is not None]
    return {
        "what": name, "runs": count, "failed": len(failed), "median": float(np.median(failed)) if failed else None,
        "p90": float(np.quantile(failed, 0.9)) if failed else None, "passed": len(passed),
        "pass": float(np.median(passed)) if passed else None,
        "better": sum(bool(one.better) for one in found),
    }  # fmt: skip


def tasks() -> Iterator[Task]:
    """All tasks, the longest first."""
    for calm in CALM_LATENCY[::-1]:
        yield Task("false latency", partial(false_latency, calm))
    yield Task("false latency", partial(false_latency, latency.Setting(100, 500, slower=1.1)))
    yield Task("users", partial(users, 1000))
    for name, machine in MACHINES.items():
        yield Task("machines", partial(machines, name, machine, 200))
    for name, one in WHOLE.items():
        yield Task("whole", partial(all_checks, name, one, 200))
    for setting in CALM[::-1]:
        yield Task("false errors", partial(false_errors, setting))
    for rate in (100, 1000):
        yield Task("drift", partial(ramp, f"1, 5, 20, 50 % at {rate}/s while all errors climb from 0.2 to 2 %", rate))
    for level, weight in ((0.3, 500), (0.6, 500), (0.6, 5000)):
        name = f"all fail {level:.0%} for a minute, {weight / 100:g} % of 100/s"
        yield Task("drift", partial(outage, name, level, weight))
    yield from delays()
    for setting in CALM:
        yield Task("equality", partial(equal, setting))
    for calm in CALM_LATENCY:
        yield Task("equality", partial(equal_latency, replace(calm, slower=1.2)))


def delays() -> Iterator[Task]:
    """Delays of all alarms."""
    for stable, canary in ((0.001, 0.01), (0.01, 0.02)):
        yield Task("windows", partial(delay, Setting(100, 500, stable, canary, ratio=1.0, runs=1000)))
    dead = Setting(100, 500, 0.05, 1.0, ratio=1.0, runs=1000, look=0.1, seconds=600)
    yield Task("windows", partial(delay, dead))
    exact = latency.Setting(100, 500, slower=1.5, tolerance=1.0, floor=0.0, patient=False, runs=500, rivals=False)
    yield Task("windows latency", partial(slow, exact))
    for rate in RATES:
        for weight in (100, 500, 2000):
            for stable, canary in EFFECTS:
                look, seconds = (0.1, 600) if canary == 1 else (1.0, 10_000)
                setting = Setting(rate, weight, stable, canary, runs=500, look=look, seconds=seconds)
                yield Task("delays", partial(delay, setting))
            for slower, tail in ((1.2, 1.0), (1.5, 1.0), (1.0, 2.0)):
                if rate < 1000 or weight == 500:
                    yield Task("delays latency", partial(slow, latency.Setting(
                        rate, weight, slower=slower, tail=tail, runs=200, rivals=False, seconds=5000)))  # fmt: skip


MACHINES = {
    "1 canary of 20, requests counted": dependence.Machines(1, "request"),
    "1 canary of 20, as shipped": dependence.Machines(1, None),
    "3 canaries of 22, requests counted": dependence.Machines(3, "request"),
    "3 canaries of 22, as shipped": dependence.Machines(3, None),
    "3 canaries of 22, as shipped, fail 10 times as often": dependence.Machines(3, None, times=10.0),
    "3 canaries of 22, as shipped, no stalls": dependence.Machines(3, None, stall=0.0),
    "3 canaries of 22, as shipped, stalls of one second": dependence.Machines(3, None, stall=1.0),
}

WHOLE = {
    "equal, 1 % errors": whole.Setting(),
    "equal, 0.1 % errors, weight 50": whole.Setting(stable=0.001, canary=0.001, weight=5000),
    "errors 0.1 to 3 %": whole.Setting(stable=0.001, canary=0.03),
    "errors 1 to 2 %": whole.Setting(stable=0.01, canary=0.02),
    "fails everything": whole.Setting(stable=0.001, canary=1.0),
    "half as slow again": whole.Setting(stable=0.001, canary=0.001, slower=1.5),
    "30 % faster": whole.Setting(stable=0.001, canary=0.001, slower=0.7, seconds=600),
}
