"""How many clients the file descriptors allow. Pure.

A client takes two: its own connection, and one to an endpoint. Idle connections to endpoints are not counted: they are
closed where descriptors run out. Some are left for the rest: listening sockets, the link, the log, copies for a mirror.
"""

FILES_PER_CONNECTION = 2

RESERVED_FILES = 64
"""Descriptors of a process that are not for clients, at most; a quarter of all where they are few."""

BASE_FILES = 24
"""Those that are in use before the first client comes."""


def files_for(connections: int) -> int:
    """Descriptors that a process wants to serve so many clients."""
    return connections * FILES_PER_CONNECTION + RESERVED_FILES


def connections_within(files: int) -> int:
    """Clients that a process with so many descriptors can serve."""
    return max((files - min(RESERVED_FILES, max(files // 4, BASE_FILES))) // FILES_PER_CONNECTION, 1)


def connection_limit(wanted: int, files: int, workers: int) -> int:
    """Clients that an instance can serve with so many descriptors in each of its workers."""
    return min(wanted, workers * connections_within(files))
