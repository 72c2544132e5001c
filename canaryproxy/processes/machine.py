"""What the machine provides: CPUs, open files and memory, and warnings when the configured limits exceed it."""

import contextlib
import math
import os
import resource
from collections.abc import Callable
from pathlib import Path

from canaryproxy.config import Config
from canaryproxy.config.types.quantity import size_text
from canaryproxy.dataplane.memory_limit import cgroup_memory, physical
from canaryproxy.dataplane.resource_exhaustion import connection_limit, files_for

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


# Let waiting processes run on this CPU. Called between the steps of long tasks: with fewer CPUs than processes,
# requests may wait for the supervisor. On one core p99 was 1.2 to 1.5 times HAProxy's without this, 0.7 to 0.8 with it
# (`python -m bench.race --parts requests latency`).
yield_cpu: Callable[[], None] = getattr(os, "sched_yield", lambda: None)

UNLIMITED = 2**31

# The share of `max_connections` that needs no warning: the metric `canaryproxy_max_connections` has the exact number.
TOLERATED = 0.95

# Maximum connections to the admin API, and to the probes; fewer where descriptors are few.
FOR_ADMIN = 1024


def raise_file_limit(wanted: int) -> int:
    """Raise the soft limit of open files towards `wanted`, up to the hard one; returns the result."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        with contextlib.suppress(OSError, ValueError):  # the kernel has a limit of its own, fs.nr_open
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def reachable_files() -> int:
    """The highest value the limit can be raised to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def wanted_files(config: Config) -> int:
    """Descriptors that each process should be able to have."""
    return files_for(config.server.limits.max_connections)


def connections(config: Config, files: int) -> int:
    """Clients that can be served at once with so many files in each process."""
    return connection_limit(config.server.limits.max_connections, files, config.server.workers or usable_cpus())


def files_warning(config: Config, files: int) -> str:
    """A warning that the file limit reduces `max_connections`; empty where the reduction is negligible."""
    most, fit = config.server.limits.max_connections, connections(config, files)
    if fit >= most * TOLERATED:
        return ""
    return (
        f"server.limits.max_connections is {most}, but a process may open no more than {files} files (hard limit): "
        f"{fit} clients are served at once and more are answered 503; raise it to {wanted_files(config)} "
        "(ulimit -Hn, LimitNOFILE=), or lower max_connections"
    )


def connections_aside(files: int) -> int:
    """Connections for the admin API and for the probes, each: the control plane needs descriptors of its own."""
    return max(min(files // 8, FOR_ADMIN), 4)


MIB = 2**20

# Bytes of the supervisor and the fork server, with a table of ordinary size.
BASE = 96 * MIB

# Bytes of a worker without clients.
OF_WORKER = 24 * MIB

# What a client takes whose request is under way, buffers aside; the second where it speaks TLS.
OF_CONNECTION = 6 * 2**10
OF_TLS_CONNECTION = 56 * 2**10

# Of what is left, for buffers. The rest is for what no account can foresee: fragments, the kernel's own buffers, the
# moment between two looks.
SHARE = 0.6

# An automatic budget is at least MIN_SHARE of all memory, from MIN_BYTES to MAX_MIN_BYTES, also where nothing is left
# for it (a warning says so); and at most this for each connection: hardly one holds more.
MIN_BYTES = 16 * MIB
MAX_MIN_BYTES = 64 * MIB
MIN_SHARE = 0.125
MAX_BYTES_PER_CONNECTION = 256 * 2**10


def available() -> int:
    """Bytes that all processes of the instance may use together."""
    tight = cgroup_memory()
    return physical() if tight is None else tight.limit


def fixed(clients: int, workers: int, *, tls: bool) -> int:
    """Bytes of so many clients and workers, buffers excluded. Pure."""
    return BASE + workers * OF_WORKER + clients * (OF_TLS_CONNECTION if tls else OF_CONNECTION)


def budget(memory: int, clients: int, workers: int, *, tls: bool) -> int:
    """Bytes for the buffers of all workers where the config says `auto`. Pure."""
    left = memory - fixed(clients, workers, tls=tls)
    most = min(int(left * SHARE), clients * MAX_BYTES_PER_CONNECTION)
    return max(most, least(memory))


def least(memory: int) -> int:
    """The minimum useful bytes for buffers, given so much memory. Pure."""
    return max(MIN_BYTES, min(int(memory * MIN_SHARE), MAX_MIN_BYTES))


def _shape(config: Config, connections: int) -> tuple[int, int, bool]:
    tls = any(one.tls is not None for one in config.server.listen)
    return connections, config.server.workers or usable_cpus(), tls


def buffers(config: Config, connections: int) -> int:
    """Bytes for the buffers of one worker, with so many clients in the instance."""
    clients, workers, tls = _shape(config, connections)
    total = config.server.limits.buffers
    if total is None:
        total = budget(available(), clients, workers, tls=tls)
    return max(total // workers, 1)


def memory_warning(config: Config, connections: int, memory: int | None = None) -> str:
    """A warning that the configured limits need more memory than there is; empty where they fit."""
    clients, workers, tls = _shape(config, connections)
    memory = available() if memory is None else memory
    kept = fixed(clients, workers, tls=tls)
    total = config.server.limits.buffers or least(memory)
    if kept + total <= memory:
        return ""
    kind = "TLS connections" if tls else "connections"
    return (
        f"server.limits allow {clients} {kind} and {size_text(total)} of buffers, which take about "
        f"{(kept + total) // MIB} MiB together, but there are {memory // MIB} MiB of memory: connections are "
        "cut before it is exhausted; raise the memory limit, or lower max_connections or buffers"
    )


def warnings(config: Config, most_files: int) -> list[str]:
    """Warnings about too few file descriptors and too little memory for the config."""
    clients = connections(config, most_files)
    return list(filter(None, (files_warning(config, most_files), memory_warning(config, clients))))
