"""The limit of open files: raising it, and how many clients it allows."""

import contextlib
import resource

from canaryproxy.config import Config
from canaryproxy.dataplane.file_budget import connection_limit, files_for
from canaryproxy.processes.cpus import usable_cpus

UNLIMITED = 2**31

TOLERATED = 0.95
"""The share of `max_connections` that needs no warning: the metric `canaryproxy_max_connections` has the exact number.
"""

FOR_ADMIN = 1024
"""Maximum connections to the admin API, and to the probes; fewer where descriptors are few."""


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


def warning(config: Config, files: int) -> str:
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
