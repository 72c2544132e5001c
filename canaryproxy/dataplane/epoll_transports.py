"""Plain-Python counterpart of epoll_transports.pyx: it provides no transports.

The pyx module follows the contract of asyncio's and uvloop's transports; in plain Python those serve every connection,
faster than Python code could.
"""

import asyncio
import socket
from typing import Protocol

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.transports import ConnectionProtocol


class Poller(Protocol):
    """The connections of one worker, on its loop."""

    def adopt(self, sock: socket.socket, protocol: ConnectionProtocol) -> object:
        """Serve a connected, non-blocking socket; `connection_made` is called at once."""

    def attend(self) -> None:
        """Serve preferred connections now, between two steps of long work."""

    def close(self) -> None:
        """Stop, and close all connections."""


def open_poller(_loop: asyncio.AbstractEventLoop, _buffers: Buffers | None = None) -> Poller | None:
    """None: the loop's own transports serve all connections."""
    return None
