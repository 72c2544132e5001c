"""Base classes of a connection's protocol and transport, which compiled code calls without attribute lookups.
Transports of asyncio and uvloop are not `FastTransport`s, but work as well.
"""

import asyncio
import contextlib
import select
import socket
import struct
from collections.abc import Iterable
from typing import Protocol, cast

# SO_LINGER with a timeout of 0: close sends RST.
RESET = struct.pack("ii", 1, 0)


class FastTransport:
    """A transport of `epoll_transports`."""

    def write(self, data: bytes) -> None:
        """Send these bytes after everything written before."""
        raise NotImplementedError

    def prefer(self) -> None:
        """Serve this connection before those that are not preferred, in each turn of the event loop."""
        raise NotImplementedError


class ConnectionProtocol(Protocol):
    """Receives the events of a connection, as asyncio's protocols do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""

    def eof_received(self) -> bool | None:
        """The peer sends no more; a false value closes the connection."""

    def connection_lost(self, error: Exception | None, /) -> None:
        """Closed."""

    def pause_writing(self) -> None:
        """The peer does not read what was written."""

    def resume_writing(self) -> None:
        """The peer has read most of it."""


class FastProtocol:
    """A connection's protocol."""

    transport: asyncio.Transport
    _sender: FastTransport | None

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer, never empty."""
        raise NotImplementedError

    def attach(self, transport: asyncio.Transport) -> None:
        """Set the transport that `send` writes to."""
        self.transport = transport
        self._sender = transport if isinstance(transport, FastTransport) else None

    def send(self, data: bytes) -> None:
        """Send these bytes to the peer."""
        if self._sender is None:
            self.transport.write(data)
        else:
            self._sender.write(data)

    def prefer(self) -> None:
        """Serve the peer before strangers, if the transport supports that."""
        if self._sender is not None:
            self._sender.prefer()


def reset(transport: asyncio.BaseTransport) -> None:
    """Abort a connection with an RST, which the peer can tell from an orderly end; the kernel discards what is queued.
    A connection that has ended already has no socket.
    """
    with contextlib.suppress(OSError, ValueError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    cast("asyncio.Transport", transport).abort()


def disconnected(transports: Iterable[asyncio.Transport]) -> list[asyncio.Transport]:
    """Those transports whose peer has reset the connection, from one poll of all of them.

    An event loop learns of a reset by reading: while reading is paused, or after the peer's FIN, nothing reads.
    """
    by_fd = {transport.get_extra_info("socket").fileno(): transport for transport in transports}
    if not by_fd:
        return []
    poller = select.poll()
    for fd in by_fd:
        poller.register(fd, 0)  # POLLERR and POLLHUP are always reported
    return [by_fd[fd] for fd, events in poller.poll(0) if events & (select.POLLERR | select.POLLHUP)]
