"""From a listening socket to client connections.

Workers share the socket. The event loop's own server would take all that wait at once, so that whoever wakes first
had them all; here a worker that has more than its share leaves newcomers to the others for a moment. If they are
still there then, because the others hang, it takes one, the next time two, and so on.

What comes first on the wire (the balancer's header, then the handshake) is read in that order and within the time of
a head, and lets no more strangers in than there is room for.

The PROXY protocol is believed from `trusted_proxies` alone. Anyone else is an ordinary client there, so a header
it sends is nothing but a malformed request.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from canaryproxy.http1.preamble import Malformed, Preamble, parse, wanted
from canaryproxy.model.failure import Failure
from canaryproxy.proxy.downstream import Downstream
from canaryproxy.proxy.shortage import FULL, OF_FILES, say
from canaryproxy.proxy.tls import Terminator

if TYPE_CHECKING:
    from canaryproxy.proxy.plane import DataPlane

OUT_OF_FILES_PAUSE = 0.1

LEFT_TO_OTHERS = 0.005
"""Seconds that a newcomer is left to workers with fewer clients."""

AT_ONCE = 64
"""Newcomers that are taken in one turn of the loop, at most."""


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
        self._paused: asyncio.TimerHandle | None = None
        self._left = 1
        self._arriving: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Listener {self._sock.fileno()} {'https' if self.terminator else 'http'}>"

    @property
    def arriving(self) -> int:
        """Connections that have not come as far as their first request."""
        return len(self._arriving)

    def start(self) -> None:
        """Accept from now on."""
        self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        """Somebody waits."""
        if self._plane.crowded(self.arriving):
            self._pause(LEFT_TO_OTHERS)
            return
        self._left = 1
        for _ in range(AT_ONCE):
            if self._plane.crowded(self.arriving) or not self._accept(1):
                return

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._paused = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        """Whoever still waits has not been taken by others."""
        self._paused = None
        self._loop.add_reader(self._sock, self._readable)
        if self._accept(self._left):
            self._left = min(2 * self._left, AT_ONCE)

    def _accept(self, most: int) -> int:
        """Take so many; how many there were."""
        taken = 0
        try:
            for connection in accept_some(self._sock, most):
                self._take(connection)
                taken += 1
        except OSError as error:
            self._not_accepted(error)
        return taken

    def _not_accepted(self, error: OSError) -> None:
        """Nothing is left for another client. Idle connections give their descriptors; without any, those who wait are
        refused rather than kept waiting for somebody else's end.
        """
        sockets = self._plane.sockets
        sockets.shortage.not_accepted(error)
        if error.errno in OF_FILES and not sockets.reclaim():
            for _ in range(AT_ONCE):
                if not sockets.shortage.refuse(self._sock, self._last_words()):
                    break
                self._plane.recorder.refuse(Failure.OVERLOADED.status)
        self._pause(OUT_OF_FILES_PAUSE)

    def _take(self, connection: socket.socket) -> None:
        """Where there is no room it is told so, if nothing would come before HTTP, and closed."""
        if self._plane.full(self.arriving if self._strange else 0):
            self._plane.sockets.shortage.note(FULL)
            self._plane.recorder.refuse(Failure.OVERLOADED.status)
            with connection:
                say(connection, self._last_words())
        else:
            self._arrive(connection)

    @property
    def _strange(self) -> bool:
        """Whether something comes before HTTP, so that a client is not counted at once."""
        return self.terminator is not None or self._preamble

    def _last_words(self) -> bytes:
        """What one is told for whom there is no room."""
        return b"" if self._strange else self._plane.last_words(Failure.OVERLOADED)

    async def stop(self, patience: float) -> None:
        """Close the socket; connections the kernel has already completed are served, not reset.

        Those still in their handshake have `patience` seconds.
        """
        self._end()
        with contextlib.suppress(OSError):
            for connection in accept_some(self._sock):
                self._arrive(connection)
        self._sock.close()
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
        if self._paused is not None:
            self._paused.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)

    def _arrive(self, connection: socket.socket) -> None:
        if self._plane.sockets.direct and not self._strange:
            self._serve(connection)
            return
        task = self._loop.create_task(self._admit(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _serve(self, connection: socket.socket) -> None:
        """Nothing comes before HTTP, and nobody has to be waited for."""
        try:
            self._plane.sockets.adopt(connection, Downstream(self._plane))
        except OSError:
            connection.close()

    async def _admit(self, connection: socket.socket) -> None:
        """Read what comes before HTTP, then serve. One that says nothing sensible is closed without a word."""
        patience = self._plane.settings.timeouts.header
        secure = self.terminator is not None
        try:
            peer = connection.getpeername()[0]
            if self._preamble and self._plane.meet(peer).trusted:
                async with asyncio.timeout(patience):
                    peer = (await self._read_preamble(connection)).address or peer
            await self._plane.sockets.serve(
                connection,
                lambda: Downstream(self._plane, peer, b"https" if secure else b"http"),
                None if self.terminator is None else self.terminator.context,
                patience,
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


def accept_some(sock: socket.socket, most: int | None = None) -> Iterator[socket.socket]:
    """Connections in the accept queue of a non-blocking listening socket, at most so many. Raises `OSError` where
    the system has no room for one.
    """
    taken = 0
    while most is None or taken < most:
        try:
            connection = sock.accept()[0]
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        taken += 1
        yield connection
