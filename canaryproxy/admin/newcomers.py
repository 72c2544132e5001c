"""Newcomers of a listening socket: taken, or refused where they say nothing.

A flood of silent connections comes again as fast as it is refused, and clients with a request wait behind it in the
kernel's queue. So a refusal has to cost less than it costs to connect. The reference of newcomers.pyx, which is what
runs compiled.
"""

import socket
from collections.abc import Callable

from canaryproxy.admin.receive_window import silent

Newcomer = tuple[socket.socket, str]
"""A connected, non-blocking socket and its peer's address; none for a Unix socket."""

Refusable = Callable[[str], bool] | None
"""Whether one of this address may be refused; None where no newcomer may."""


def take(listening: socket.socket, most: int, refusable: Refusable) -> tuple[list[Newcomer], int]:
    """At most so many newcomers, and how many others were refused: those that are silent, where their address is
    `refusable`; with None, no newcomer is. Raises `OSError` where the first one cannot be taken.
    """
    found: list[Newcomer] = []
    refused = 0
    while len(found) + refused < most:
        try:
            connection, peer = listening.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            break
        except OSError:
            if not found and not refused:
                raise
            break
        address = peer[0] if isinstance(peer, tuple) else ""
        if refusable is not None and refusable(address) and silent(connection):
            refused += 1
            connection.close()
            continue
        connection.setblocking(False)
        found.append((connection, address))
    return found, refused
