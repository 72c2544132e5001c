"""Accepts client connections from a listening socket.

The workers share the socket. The event loop's own server would accept all waiting connections at once, so the worker
that wakes first would get them all. Here, a worker with more than its share leaves new connections to the others for a
moment. If they are still waiting afterwards, because the other workers hang, it accepts one, then two, and so on.

Every connection takes a slot when it is accepted; if all are taken, another one is evicted (`eviction`). What precedes
HTTP on the wire is read by a `PendingConnection`.

The PROXY protocol is accepted from `trusted_proxies` only. Any other peer is an ordinary client, whose PROXY header is
a malformed request.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from time import perf_counter

from canaryproxy.dataplane.admission import Admission
from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.pending_connection import PendingConnection
from canaryproxy.dataplane.resource_exhaustion import FILE_ERRORS, describe, send_last
from canaryproxy.dataplane.slices import Slices
from canaryproxy.dataplane.tls import SniContexts
from canaryproxy.model.failure import Failure

# Seconds without accepting after descriptors ran out.
OUT_OF_FILES_PAUSE_SECONDS = 0.1

# Seconds for which a new connection is left to workers with fewer clients.
YIELD_SECONDS = 0.005

# Connections accepted in one turn of the loop, at most: established clients wait meanwhile.
ACCEPT_BATCH = 16

# Seconds of a turn of the loop spent on accepting.
TURN_SECONDS = 0.0005

# Connections refused at a time when descriptors have run out.
REFUSE_BATCH = 64

# Seconds between two checks of pending connections while draining.
SWEEP_SECONDS = 0.05


class Listener:
    """Serves one bound, listening, non-blocking socket. `proxy_protocol`: connections begin with a PROXY header."""

    def __init__(
        self,
        plane: Admission,
        slices: Slices,
        sock: socket.socket,
        sni_contexts: SniContexts | None = None,
        *,
        proxy_protocol: bool = False,
    ) -> None:
        self.sni_contexts = sni_contexts
        self.plane = plane
        self.loop = plane.clock.loop
        self._slices = slices
        self._sock = sock
        self._proxy_protocol = proxy_protocol
        self._preceded = proxy_protocol or sni_contexts is not None
        self._paused: asyncio.TimerHandle | None = None
        self._left = 1
        self._arriving: set[PendingConnection] = set()

    def __repr__(self) -> str:
        return f"<Listener {self._sock.fileno()} {'https' if self.sni_contexts else 'http'}>"

    @property
    def pending_count(self) -> int:
        """Connections that have not reached their first request."""
        return len(self._arriving)

    def start(self) -> None:
        """Start accepting."""
        self.loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        """A connection is waiting."""
        if self.plane.over_fair_share():
            self._pause(YIELD_SECONDS)
            return
        self._left = 1
        if self.plane.buffers.cutting:
            return  # new connections wait in the kernel's queue until memory is free
        until = perf_counter() + TURN_SECONDS
        for _ in range(ACCEPT_BATCH):
            if self.plane.over_fair_share() or not self._accept(1) or perf_counter() >= until:
                return
            self.plane.pools.sockets.attend()

    def _pause(self, seconds: float) -> None:
        self.loop.remove_reader(self._sock)
        self._paused = self.loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        """A connection that is still waiting was not accepted by another worker."""
        self._paused = None
        self.loop.add_reader(self._sock, self._readable)
        if self._accept(self._left):
            self._left = min(2 * self._left, ACCEPT_BATCH)

    def _accept(self, most: int) -> int:
        """Accept up to `most` connections; returns how many there were."""
        taken = 0
        try:
            for connection, address in accept_some(self._sock, most):
                self._take(connection, address)
                taken += 1
        except OSError as error:
            self._not_accepted(error)
        return taken

    def _not_accepted(self, error: OSError) -> None:
        """Accepting failed. Idle connections are closed for their descriptors; if there are none, waiting clients are
        refused instead of waiting for a connection to end.
        """
        sockets = self.plane.pools.sockets
        sockets.shortage.note(f"clients could not be accepted: {describe(error.errno or 0)}")
        if error.errno in FILE_ERRORS and not sockets.close_idle_connections():
            for _ in range(REFUSE_BATCH):
                if not sockets.shortage.refuse(self._sock, self._final_response(Failure.OVERLOADED)):
                    break
                self.plane.refused("files", Failure.OVERLOADED)
        self._pause(OUT_OF_FILES_PAUSE_SECONDS)

    def _take(self, connection: socket.socket, address: str) -> None:
        """Serve a connection, or refuse it: with an error response, unless TLS or a PROXY header would have to come
        first.
        """
        failure = self.plane.refusal(address)
        if failure is not None:
            with connection:
                send_last(connection, self._final_response(failure))
        else:
            self._arrive(connection, address)

    def _final_response(self, failure: Failure) -> bytes:
        """The response for a refused client."""
        return b"" if self._preceded else self.plane.local_response(failure, None, close=True)

    async def stop(self, patience: float) -> None:
        """Close the socket. Connections that the kernel has already completed are served, not reset.

        Pending connections have `patience` seconds, or the rest of their own time.
        """
        self._end()
        with contextlib.suppress(OSError):
            for connection, address in accept_some(self._sock):
                self._arrive(connection, address)
        self._sock.close()
        deadline = self.plane.clock.now() + patience
        while self._arriving and self.plane.clock.now() < deadline:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(self.plane.clock.now())
        self._close_arrivals()

    def abort(self) -> None:
        """Close everything now."""
        self._end()
        self._sock.close()
        self._close_arrivals()

    def _close_arrivals(self) -> None:
        for arrival in list(self._arriving):
            arrival.close()

    def sweep(self, tick: float) -> None:
        """Close pending connections whose deadline has passed."""
        self._slices.add([one.close for one in self._arriving if one.deadline <= tick])

    def _end(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
        if self._sock.fileno() >= 0:
            self.loop.remove_reader(self._sock)

    def _arrive(self, connection: socket.socket, address: str) -> None:
        plane = self.plane
        if plane.pools.sockets.direct and not self._preceded:
            try:
                plane.pools.sockets.adopt(connection, ClientConnection(plane, address))
            except OSError:
                connection.close()
            return
        trusted = plane.trusts(address)
        arrival = PendingConnection(plane, connection, address, self.sni_contexts, self._arriving.discard)
        self._arriving.add(arrival)
        arrival.start(trusted=trusted, proxy_protocol=self._proxy_protocol and trusted)


def accept_some(sock: socket.socket, most: int | None = None) -> Iterator[tuple[socket.socket, str]]:
    """Connections in the accept queue of a non-blocking listening socket with their peers' addresses, at most `most`.
    Raises `OSError` if the system cannot accept one.
    """
    taken = 0
    while most is None or taken < most:
        try:
            connection, peer = sock.accept()
        except (BlockingIOError, ConnectionAbortedError):  # empty, or reset while it was queued
            return
        connection.setblocking(False)
        taken += 1
        yield connection, peer[0]
