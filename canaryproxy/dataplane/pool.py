"""Connections to one endpoint: idle ones are reused, newest first; new ones are opened on demand.

Pools are keyed by endpoint, so they survive table swaps. The idle time is kept below what servers allow, and a
connection on which anything happened while idle is not reused: the keep-alive race is made rare before it is retried
(see `failover`).
"""

import asyncio
import ssl

from canaryproxy.dataplane.outlier_detection import OutlierDetector
from canaryproxy.dataplane.resource_exhaustion import NO_MEMORY
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.tls import client_context
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection, reason_of
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.model.failure import Failure
from canaryproxy.model.table import Endpoint


class Pool:
    """`authority` is the endpoint's `host:port` for requests without Host; `in_flight` counts the exchanges that use
    the endpoint; `ejection` records its failures. `never_evicts`: open nothing when descriptors are scarce.
    """

    def __init__(self, endpoint: Endpoint, sockets: Sockets, *, never_evicts: bool = False) -> None:
        self.endpoint = endpoint
        self.authority = endpoint.site.encode("ascii")
        self.in_flight = 0
        self.ejection = OutlierDetector()
        self._sockets = sockets
        self._retired = False
        self._never_evicts = never_evicts
        self._idle: list[UpstreamStream] = []
        self._opening: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Pool {self.endpoint.authority}: {len(self._idle)} idle, {len(self._opening)} opening>"

    @property
    def ejected(self) -> bool:
        """Whether the endpoint is ejected."""
        return self.ejection.active

    def take_idle(self) -> UpstreamStream | None:
        """An idle connection that is still usable, or None."""
        # Newest first: it is the least likely to be closed by the server, and the rest can expire.
        idle = self._idle
        while idle:
            upstream = idle.pop()
            if upstream.alive:
                return upstream
        return None

    def release(self, upstream: UpstreamStream, expires: float) -> None:
        """Keep a connection for the next exchange until `expires` (monotonic seconds)."""
        if self._retired:
            upstream.abort()
            return
        upstream.expires = expires
        upstream.reused = True
        self._idle.append(upstream)

    def open(self, exchange: ResponseHandler) -> asyncio.Task[None]:
        """Open a connection for `exchange`, which receives success or failure unless it cancels the task."""
        task = self._sockets.loop.create_task(self._open(exchange))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    async def _open(self, exchange: ResponseHandler) -> None:
        upstream = UpstreamConnection(self._sockets.buffers)
        endpoint = self.endpoint
        context, name, exhaustion = None, None, self._sockets.shortage
        if self._never_evicts and exhaustion.nearly_out():
            exchange.connect_failed(Failure.OVERLOADED)
            return
        try:
            if endpoint.tls is not None:
                context, name = client_context(endpoint.tls), endpoint.tls.server_name
            await self._sockets.connect(endpoint.host, endpoint.port, upstream, context, name)
        except asyncio.CancelledError:
            upstream.abort()
            raise
        except ssl.SSLError as error:
            ours = isinstance(error, ssl.SSLCertVerificationError) and exhaustion.lacks_ca_file()
            exchange.connect_failed(Failure.OVERLOADED if ours else Failure.CONNECT_UNSAFE, reason_of(error))
        except MemoryError:
            exhaustion.note(NO_MEMORY)
            exchange.connect_failed(Failure.OVERLOADED)
        except OSError as error:
            ours = exhaustion.caused_here(error, endpoint.host, endpoint.port)
            exchange.connect_failed(Failure.OVERLOADED if ours else Failure.CONNECT_REFUSED, reason_of(error))
        else:
            exchange.connected(upstream)

    def sweep(self, now: float) -> None:
        """Close expired idle connections, and end an expired ejection."""
        if self.ejection.active:
            self.ejection.sweep(now)
        if any(one.expires <= now or not one.alive for one in self._idle):
            fresh = [upstream for upstream in self._idle if upstream.expires > now and upstream.alive]
            for upstream in set(self._idle).difference(fresh):
                upstream.abort()
            self._idle = fresh

    def close_idle(self, most: int) -> int:
        """Close up to `most` idle connections, the oldest first; returns how many there were."""
        closed, self._idle = self._idle[:most], self._idle[most:]
        for upstream in closed:
            upstream.abort()
        return len(closed)

    def retire(self) -> None:
        """The endpoint left the table: close idle connections, now and later; exchanges under way go on."""
        self._retired = True
        for upstream in self._idle:
            upstream.abort()
        self._idle.clear()

    def close(self) -> None:
        """Close idle connections and stop opening new ones."""
        self.retire()
        for task in self._opening:
            task.cancel()
