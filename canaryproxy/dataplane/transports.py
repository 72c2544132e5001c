"""The two ends of a connection: who gets what it receives, and who sends what it has to say.

What is compiled calls these without looking for names. Transports of asyncio and of uvloop are no `FastTransport`, and
do as well.
"""

import asyncio
import contextlib
import select
import socket
import struct
from collections.abc import Iterable
from typing import Protocol, cast

RESET = struct.pack("ii", 1, 0)


class FastTransport:
    """A transport of our own (`epoll_transports`)."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        """Send this behind everything written before."""
        raise NotImplementedError

    def prefer(self) -> None:
        """Serve this connection before those that are not preferred, in each turn of the event loop."""
        raise NotImplementedError


class ConnectionProtocol(Protocol):
    """Who hears of what happens to a connection, as asyncio tells its protocols."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""

    def data_received(self, data: bytes) -> None:
        """The peer sent these."""

    def eof_received(self) -> bool | None:
        """The peer sends no more; false to close the connection."""

    def connection_lost(self, error: Exception | None, /) -> None:
        """It is gone."""

    def pause_writing(self) -> None:
        """The peer does not take what was written."""

    def resume_writing(self) -> None:
        """It took most of it."""


class FastProtocol:
    """A connection's protocol."""

    __slots__ = ("_sender", "transport")

    transport: asyncio.Transport
    _sender: FastTransport | None

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer, never none."""
        raise NotImplementedError

    def attach(self, transport: asyncio.Transport) -> None:
        """What is sent goes there from now on."""
        self.transport = transport
        self._sender = transport if isinstance(transport, FastTransport) else None

    def send(self, data: bytes) -> None:
        """Send this to the peer."""
        if self._sender is None:
            self.transport.write(data)
        else:
            self._sender.write(data)

    def prefer(self) -> None:
        """Have the peer served before strangers, where the transport knows such an order."""
        if self._sender is not None:
            self._sender.prefer()


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection so that the peer can tell it from an orderly end; not even the kernel keeps anything for it.
    One that has ended already has no socket any more.
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
        poller.register(fd, 0)
    return [by_fd[fd] for fd, events in poller.poll(0) if events & (select.POLLERR | select.POLLHUP)]
