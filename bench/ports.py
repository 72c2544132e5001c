"""Ports for servers whose port must be known before they listen."""

import itertools
import os
import socket
from collections.abc import Iterator

FIRST, LAST = 12_000, 31_999
"""Below the range of ports that the system assigns (net.ipv4.ip_local_port_range): a port that is free now is still
free when the server listens.
"""

SHARES = 8
"""Number of pytest-xdist processes that get different ports."""


def _share() -> Iterator[int]:
    size = (LAST + 1 - FIRST) // SHARES
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    start = FIRST + int(worker) % SHARES * size
    return (start + (os.getpid() * 7 + step) % size for step in itertools.count())


_candidates = _share()


def free_port() -> int:
    """A port on which nothing listens, different at each call."""
    for port in _candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("candidates never end")
