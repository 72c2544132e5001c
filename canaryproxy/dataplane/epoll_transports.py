"""TCP connections that are read and written without the event loop's transports: in plain Python there are none.

The reference of epoll_transports.pyx are the transports of asyncio and uvloop, whose promises it keeps; in plain Python
they serve every connection, faster than anything written here could.
"""

import asyncio
import socket
from typing import Protocol

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.transports import ConnectionProtocol


class Poller(Protocol):
    """The connections of one worker, on its loop."""

    def adopt(self, sock: socket.socket, protocol: ConnectionProtocol) -> object:
        """Serve a connected, non-blocking socket from now on; the protocol hears of it at once."""

    def attend(self) -> None:
        """Serve those who are preferred now, between two steps of something long."""

    def close(self) -> None:
        """Serve nothing any more: whatever is still open is closed."""


def open_poller(_loop: asyncio.AbstractEventLoop, _buffers: Buffers | None = None) -> Poller | None:
    """None: the loop's own transports serve all connections."""
    return None
