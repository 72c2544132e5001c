"""From a listening socket to client connections.

A plain listener is the event loop's own server. One with TLS or the PROXY protocol accepts by itself, since
what comes first on the wire (the balancer's header, then the handshake) must be read in that order and within
the time of a head, and must not let more strangers in than there is room for.

The PROXY protocol is believed from `trusted_proxies` alone. Anyone else is an ordinary client there, so a header
it sends is nothing but a malformed request.
"""

import asyncio
import socket
from typing import TYPE_CHECKING

from canaryproxy.http1.preamble import Malformed, Preamble, parse, wanted
from canaryproxy.proxy.downstream import Downstream
from canaryproxy.proxy.tls import Terminator

if TYPE_CHECKING:
    from canaryproxy.proxy.plane import DataPlane

OUT_OF_FILES_PAUSE = 0.1


class Listener:
    """Serves one bound, listening, non-blocking socket. `preamble`: connections begin with a PROXY header."""

    def __init__(
        self, plane: "DataPlane", loop: asyncio.AbstractEventLoop, sock: socket.socket,
        terminator: Terminator | None = None, *, preamble: bool = False,
    ) -> None:  # fmt: skip
        self.terminator = terminator
        self._plane = plane
        self._loop = loop
        self._sock = sock
        self._preamble = preamble
        self._server: asyncio.AbstractServer | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._arriving: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Listener {self._sock.fileno()} {'https' if self.terminator else 'http'}>"

    @property
    def arriving(self) -> int:
        """Connections that have not come as far as their first request."""
        return len(self._arriving)

    async def start(self) -> None:
        """Accept from now on."""
        if self.terminator is None and not self._preamble:
            self._server = await self._loop.create_server(lambda: Downstream(self._plane), sock=self._sock.dup())
        else:
            self._accepting = self._loop.create_task(self._accept())

    async def stop(self, patience: float) -> None:
        """Close the socket; connections the kernel has already completed are served, not reset.

        Those still in their handshake have `patience` seconds.
        """
        self._end()
        await asyncio.sleep(0)
        accepted = accept_all(self._sock)
        self._sock.close()
        for connection in accepted:
            self._arrive(connection)
        if self._arriving:
            _, late = await asyncio.wait(self._arriving, timeout=patience)
            for task in late:
                task.cancel()

    def abort(self) -> None:
        """Close everything now."""
        self._end()
        self._sock.close()
        for task in self._arriving:
            task.cancel()

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._accepting is not None:
            self._accepting.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._sock)
            except OSError:
                await asyncio.sleep(OUT_OF_FILES_PAUSE)
                continue
            if self._plane.full(self.arriving):
                connection.close()
            else:
                self._arrive(connection)

    def _arrive(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._admit(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _admit(self, connection: socket.socket) -> None:
        """Read what comes before HTTP, then serve. One that says nothing sensible is closed without a word."""
        patience = self._plane.settings.timeouts.header
        secure = self.terminator is not None
        try:
            peer = connection.getpeername()[0]
            if self._preamble and self._plane.meet(peer).trusted:
                async with asyncio.timeout(patience):
                    peer = (await self._read_preamble(connection)).address or peer
            await self._loop.connect_accepted_socket(
                lambda: Downstream(self._plane, peer, b"https" if secure else b"http"),
                connection,
                ssl=self.terminator.context if self.terminator is not None else None,
                ssl_handshake_timeout=patience if secure else None,
            )
        except (OSError, Malformed):
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    async def _read_preamble(self, connection: socket.socket) -> Preamble:
        data = b""
        while (preamble := parse(data)) is None:
            more = await self._loop.sock_recv(connection, wanted(data))
            if not more:
                raise Malformed("the connection ended within the header")
            data += more
        return preamble


def accept_all(sock: socket.socket) -> list[socket.socket]:
    """Every connection in the accept queue of a non-blocking listening socket."""
    accepted: list[socket.socket] = []
    while True:
        try:
            connection = sock.accept()[0]
        except BlockingIOError:
            return accepted
        connection.setblocking(False)
        accepted.append(connection)
