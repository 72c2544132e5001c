"""The memory for buffers (`server.limits.buffers`), and a warning when the configured limits exceed the memory."""

from canaryproxy.config import Config
from canaryproxy.config.types.quantity import size_text
from canaryproxy.dataplane.memory_limit import cgroup_memory, physical
from canaryproxy.processes import file_limits
from canaryproxy.processes.cpus import usable_cpus

MIB = 2**20

BASE = 96 * MIB
"""Bytes of the supervisor and the fork server, with a table of ordinary size."""

OF_WORKER = 24 * MIB
"""Bytes of a worker without clients."""

OF_CONNECTION = 6 * 2**10
OF_TLS_CONNECTION = 56 * 2**10
"""What a client takes whose request is under way, buffers aside; the second where it speaks TLS."""

SHARE = 0.6
"""Of what is left, for buffers. The rest is for what no account can foresee: fragments, the kernel's own buffers, the
moment between two looks."""

MIN_BYTES = 16 * MIB
MAX_MIN_BYTES = 64 * MIB
MIN_SHARE = 0.125
MAX_BYTES_PER_CONNECTION = 256 * 2**10
"""An automatic budget is at least LEAST_SHARE of all memory, from LEAST to MOST_OF_LEAST, also where nothing is left
for it (a warning says so); and at most this for each connection: hardly one holds more."""


def available() -> int:
    """Bytes that all processes of the instance may use together."""
    tight = cgroup_memory()
    return physical() if tight is None else tight.limit


def fixed(connections: int, workers: int, *, tls: bool) -> int:
    """Bytes of so many clients and workers, buffers excluded. Pure."""
    return BASE + workers * OF_WORKER + connections * (OF_TLS_CONNECTION if tls else OF_CONNECTION)


def budget(memory: int, connections: int, workers: int, *, tls: bool) -> int:
    """Bytes for the buffers of all workers where the config says `auto`. Pure."""
    left = memory - fixed(connections, workers, tls=tls)
    most = min(int(left * SHARE), connections * MAX_BYTES_PER_CONNECTION)
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


def warning(config: Config, connections: int, memory: int | None = None) -> str:
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
    clients = file_limits.connections(config, most_files)
    return list(filter(None, (file_limits.warning(config, most_files), warning(config, clients))))
