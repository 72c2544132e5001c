"""What the buffers of the instance may hold (`server.limits.buffers`), and whether all that is allowed fits into the
memory there is.
"""

from canaryproxy.config import Config
from canaryproxy.config.types.quantity import size_text
from canaryproxy.dataplane.memory_limit import cgroup_memory, physical
from canaryproxy.processes import file_limits
from canaryproxy.processes.cpus import usable_cpus

MIB = 2**20

BASE = 96 * MIB
"""What the supervisor and the fork server take, with a table of ordinary size."""

OF_WORKER = 24 * MIB
"""What a worker takes before the first client comes."""

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
    """What so many clients take in so many workers, buffers aside. Pure."""
    return BASE + workers * OF_WORKER + connections * (OF_TLS_CONNECTION if tls else OF_CONNECTION)


def budget(memory: int, connections: int, workers: int, *, tls: bool) -> int:
    """Bytes that the buffers of all workers may hold where the config says `auto`. Pure."""
    left = memory - fixed(connections, workers, tls=tls)
    most = min(int(left * SHARE), connections * MAX_BYTES_PER_CONNECTION)
    return max(most, least(memory))


def least(memory: int) -> int:
    """What buffers need to be of use, in so much memory. Pure."""
    return max(MIN_BYTES, min(int(memory * MIN_SHARE), MAX_MIN_BYTES))


def _shape(config: Config, connections: int) -> tuple[int, int, bool]:
    tls = any(one.tls is not None for one in config.server.listen)
    return connections, config.server.workers or usable_cpus(), tls


def buffers(config: Config, connections: int) -> int:
    """Bytes that the buffers of one worker may hold, with so many clients in the instance."""
    clients, workers, tls = _shape(config, connections)
    total = config.server.limits.buffers
    if total is None:
        total = budget(available(), clients, workers, tls=tls)
    return max(total // workers, 1)


def warning(config: Config, connections: int, memory: int | None = None) -> str:
    """Says that what the config allows needs more memory than there is; empty where it fits."""
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
    """What of the config there are too few descriptors for, and too little memory."""
    clients = file_limits.connections(config, most_files)
    return list(filter(None, (file_limits.warning(config, most_files), warning(config, clients))))
