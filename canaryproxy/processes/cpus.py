"""Number of CPUs this process may use (affinity and cgroup quota), and yielding one to the workers."""

import math
import os
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
