"""The limit of open files: raised as far as it may be, and what it means for the number of clients."""

import contextlib
import resource

from canaryproxy.config import Config
from canaryproxy.dataplane.resource_exhaustion import connection_limit, files_for
from canaryproxy.processes.cpus import usable_cpus

UNLIMITED = 2**31

TOLERATED = 0.95
"""The share of `max_connections` that is worth no warning: the metric `canaryproxy_max_connections` says it exactly."""

FOR_ADMIN = 1024
"""Connections to the admin API, or to the probes, at most; fewer where descriptors are few."""


def raise_file_limit(wanted: int) -> int:
    """Raise the soft limit of open files towards `wanted`, as far as the hard limit allows; workers inherit it. What
    it is then.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        with contextlib.suppress(OSError, ValueError):  # the kernel has a limit of its own, fs.nr_open
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def reachable_files() -> int:
    """What the limit could be raised to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def wanted_files(config: Config) -> int:
    """Descriptors that each process should be able to have."""
    return files_for(config.server.limits.max_connections)


def connections(config: Config, files: int) -> int:
    """Clients that can be served at once with so many files in each process."""
    return connection_limit(config.server.limits.max_connections, files, config.server.workers or usable_cpus())


def warning(config: Config, files: int) -> str:
    """Says what the limit of files makes of `max_connections`; empty where that is next to nothing."""
    most, fit = config.server.limits.max_connections, connections(config, files)
    if fit >= most * TOLERATED:
        return ""
    return (
        f"server.limits.max_connections is {most}, but a process may open no more than {files} files (hard limit): "
        f"{fit} clients are served at once and more are answered 503; raise it to {wanted_files(config)} "
        "(ulimit -Hn, LimitNOFILE=), or lower max_connections"
    )


def connections_aside(files: int) -> int:
    """Connections that the admin API and the probes may have each: the control plane needs descriptors of its own."""
    return max(min(files // 8, FOR_ADMIN), 4)
