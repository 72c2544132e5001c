"""Accepting from a listening socket, with early refusal of silent connections.

A flood of silent connections reconnects as fast as it is refused, and clients with a request wait behind it in the
accept queue. So a refusal has to cost less than a connect. Reference implementation of the compiled newcomers.pyx.
"""

import socket
from collections.abc import Callable

from canaryproxy.admin.receive_window import silent

# A connected, non-blocking socket and its peer's address, empty for a Unix socket.
Newcomer = tuple[socket.socket, str]

# Whether connections of an address may be refused; None: none may.
Refusable = Callable[[str], bool] | None


def take(listening: socket.socket, most: int, refusable: Refusable) -> tuple[list[Newcomer], int]:
    """Accept up to `most` connections. Returns them and how many were refused. Raises `OSError` if the first fails."""
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
