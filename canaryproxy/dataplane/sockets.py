"""Opens and adopts the sockets of a worker: plain TCP is read and written directly (`epoll_transports`), TLS by the
event loop's own transports, and in plain Python everything.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import cast

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.epoll_transports import open_poller
from canaryproxy.dataplane.resource_exhaustion import FILE_ERRORS, ResourceExhaustion
from canaryproxy.dataplane.transports import ConnectionProtocol

NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)

# Seconds for a handshake with an endpoint: it is part of connecting, whose timeout the exchange enforces.
NO_TIMEOUT = 1e6

# Attempts to open a connection, as long as idle ones can be closed for it.
MAX_TRIES = 3

# Unsent bytes that the kernel buffers for a connection, at most. It would buffer up to `net.ipv4.tcp_wmem`, usually 4
# MiB, for a peer that reads slowly, and count them as this container's memory.
UNSENT = 262_144

# Seconds until the descriptor of a closed connection is free.
RELEASE_SECONDS = 0.005


class Sockets:
    """Connections of one worker, on its loop. `direct`: plain TCP bypasses the loop's transports; `shortage` records
    what the machine lacks; `close_idle_connections` closes some idle connections, and returns False if there are none;
    queued bytes are counted in `buffers`.
    """

    __slots__ = ("_poller", "buffers", "close_idle_connections", "direct", "loop", "shortage")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        shortage: ResourceExhaustion | None = None,
        buffers: Buffers | None = None,
    ) -> None:
        self.loop = loop
        self.shortage = shortage or ResourceExhaustion(loop.time)
        self.close_idle_connections: Callable[[], bool] = lambda: False
        self.buffers = buffers or Buffers()
        self._poller = open_poller(loop, self.buffers)
        self.direct = self._poller is not None

    def __repr__(self) -> str:
        return f"<Sockets {self._poller or 'of the loop'}>"

    def adopt(self, sock: socket.socket, protocol: ConnectionProtocol) -> None:
        """Serve a connected, non-blocking TCP socket directly. Raises `OSError` if it is closed already."""
        if self._poller is None:
            raise RuntimeError("this worker has no poller")
        limit_unsent(sock)
        self._poller.adopt(sock, protocol)

    def attend(self) -> None:
        """Serve endpoints, and clients that have received a response, now: called between two steps of long work."""
        if self._poller is not None:
            self._poller.attend()

    async def serve(
        self,
        sock: socket.socket,
        protocol: Callable[[], ConnectionProtocol],
        context: ssl.SSLContext | None,
        patience: float,
    ) -> None:
        """Serve an accepted socket. With a context, a TLS handshake comes first, for `patience` seconds at most.

        Raises `OSError` if that fails.
        """
        limit_unsent(sock)
        if context is None and self._poller is not None:
            self._poller.adopt(sock, protocol())
        else:
            wait = None if context is None else patience
            made = cast("Callable[[], asyncio.BaseProtocol]", protocol)
            await self.loop.connect_accepted_socket(made, sock, ssl=context, ssl_handshake_timeout=wait)

    async def connect(
        self, host: str, port: int, protocol: ConnectionProtocol, context: ssl.SSLContext | None, name: str | None
    ) -> None:
        """Open a connection; with a context, TLS to a server of this name. Raises `OSError`.

        If descriptors have run out, idle connections are closed for it.
        """
        # A closed connection releases its descriptor only in a later turn of the loop, hence the sleep.
        for left in reversed(range(MAX_TRIES)):
            try:
                await self._connect(host, port, protocol, context, name)
            except OSError as error:
                if not left or error.errno not in FILE_ERRORS or not self.close_idle_connections():
                    raise
                await asyncio.sleep(RELEASE_SECONDS)
            else:
                return

    async def _connect(
        self, host: str, port: int, protocol: ConnectionProtocol, context: ssl.SSLContext | None, name: str | None
    ) -> None:
        family = None if context is not None or self._poller is None else _family(host)
        if family is None or self._poller is None:
            hearer = cast("asyncio.BaseProtocol", protocol)
            patience = None if context is None else NO_TIMEOUT
            made = await self.loop.create_connection(
                lambda: hearer, host, port, ssl=context, server_hostname=name, ssl_handshake_timeout=patience
            )
            limit_unsent(made[0].get_extra_info("socket"))
            return
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            limit_unsent(sock)
            await self.loop.sock_connect(sock, (host, port))
            self._poller.adopt(sock, protocol)
            undo.pop_all()

    def close(self) -> None:
        """Stop serving."""
        self.shortage.close()
        if self._poller is not None:
            self._poller.close()


def limit_unsent(sock: socket.socket) -> None:
    """Limit the unsent bytes that the kernel buffers for a socket to UNSENT."""
    if NOTSENT_LOWAT is not None:
        with contextlib.suppress(OSError):  # closed already, or not a TCP socket
            sock.setsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT, UNSENT)


def _family(host: str) -> socket.AddressFamily | None:
    """The family of a literal address, None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6
