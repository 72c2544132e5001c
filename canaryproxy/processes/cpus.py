"""Number of CPUs this process may use (affinity and cgroup quota), and yielding one to the workers."""

import math
import os
from collections.abc import Callable
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(root: Path = CGROUP) -> int:
    """At least 1. A quota of one and a half CPUs counts as two."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(root)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _quota(root: Path) -> float | None:
    """CPUs' worth of time, by cgroup v2 or v1; None where there is no limit."""
    limit, period = _words(root / "cpu.max", 2) or (
        *(_words(root / "cpu" / "cpu.cfs_quota_us", 1) or ("max",)),
        *(_words(root / "cpu" / "cpu.cfs_period_us", 1) or ("100000",)),
    )
    if not limit.isdecimal() or not period.isdecimal() or int(period) == 0:
        return None
    return int(limit) / int(period)


def _words(path: Path, count: int) -> tuple[str, ...] | None:
    try:
        words = tuple(path.read_text().split())
    except OSError:
        return None
    return words if len(words) == count else None


yield_cpu: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Let waiting processes run on this CPU. Called between the steps of long tasks: with fewer CPUs than processes,
requests may wait for the supervisor. On one core p99 was 1.2 to 1.5 times HAProxy's without this, 0.7 to 0.8 with it
(`python -m bench.race --parts requests latency`).
"""
