"""Ports for servers of tests and claims that must be known before the server listens."""

import itertools
import os
import socket
from collections.abc import Iterator

FIRST, LAST = 12_000, 31_999
"""Below the range that the system draws from for connections and for port 0 (net.ipv4.ip_local_port_range): what is
free when it is asked for is still free when the server listens.
"""

SHARES = 8
"""Processes of pytest-xdist that never ask for the same port."""


def _share() -> Iterator[int]:
    size = (LAST + 1 - FIRST) // SHARES
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    start = FIRST + int(worker) % SHARES * size
    return (start + (os.getpid() * 7 + step) % size for step in itertools.count())


_candidates = _share()


def free_port() -> int:
    """A port on which nothing listens, another one at each call."""
    for port in _candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("candidates never end")
