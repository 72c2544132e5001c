"""The data plane as the rest of the program sees it: `publish` a table, collect `deltas`, `listen`, `drain`.

Holds the connections and the sweep that serves every timeout. Publishing is one assignment; exchanges under way keep
the decision that they began with.
"""

import asyncio
import math
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from canaryproxy.dataplane.admission import Admission
from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.dataplane.context import SWEEP_SECONDS, Clock, Telemetry
from canaryproxy.dataplane.evictable_connection import EvictableConnection
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.listener import Listener
from canaryproxy.dataplane.load_shedding import BufferHolder, LoadShedder
from canaryproxy.dataplane.slices import Slices
from canaryproxy.dataplane.tls import SniContexts
from canaryproxy.dataplane.transports import disconnected
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.report import Delta
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import RoutingTable
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.telemetry.record.access_log import AccessLogEntry

# When draining, new connections are accepted until none has come for QUIET_SECONDS, for GRACE_SECONDS at most.
# FINAL_SECONDS before the end, or in the last quarter, stable is asked for what the canary has not answered.
GRACE_SECONDS = 5.0
QUIET_SECONDS = 0.25
FINAL_SECONDS = 1.0


class DataPlane(Admission):
    """The data plane of one worker. `room`: clients that it can serve alone; `memory`: the share of memory in use."""

    def __init__(
        self,
        settings: PlaneSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
        rng: Callable[[], float] = random.random,
        access_log: Callable[[AccessLogEntry], None] | None = None,
        connection_count: SharedConnectionCount | None = None,
        room: float = math.inf,
        secret: bytes = b"",
        memory: Callable[[], float] | None = None,
    ) -> None:
        clock = Clock(loop, now, wall_clock)
        super().__init__(settings, clock, Telemetry(clock, access_log, secret), identity, rng, connection_count, room)
        self._generation = 0
        self._aborted: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self.slices = Slices(loop.call_soon, self.pools.sockets.attend)
        note, evict = self.pools.sockets.shortage.note, partial(self.evict, "memory")
        self._shedding = LoadShedder(self.buffers, self._holders, self.slices, note, memory, evict)
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def __repr__(self) -> str:
        return f"<DataPlane generation {self._generation}: {len(self._connections)} connections>"

    # Interface to the control plane.

    def publish(self, table: RoutingTable) -> None:
        """Make `table` decide all further requests."""
        before = self.routing.index
        had = {name for name, entry in before.by_name.items() if not entry.stable_only} | self._aborted.keys()
        self.routing.index = RouteIndex(table, before)
        self._generation = table.generation
        self.pools.by_decision = {}
        self.pools.in_flight = +self.pools.in_flight  # drops counters that are 0
        tick = self.clock.now()
        self._aborted = {
            route.name: self._aborted.get(route.name, tick)
            for route in table.routes
            if route.aborted or (route.canary is None and route.name in had)
        }
        versions = [version for route in table.routes for version in route.versions]
        named = {endpoint for version in versions for endpoint in version.endpoints}
        for endpoint in self.pools.by_endpoint.keys() - named:
            self.pools.by_endpoint.pop(endpoint).retire()
        names = {route.name for route in table.routes}
        self.routing.splits.forget(names)
        self.mirrors.publish(table, named)
        self.shields.publish(table)

    def deltas(self) -> Delta:
        """Everything counted since the last call, and the exchanges that are overdue now."""
        cells = [(exchange.cell, exchange.waits) for exchange in self._exchanges()]
        decisions = [tunnel.decision for tunnel in self.tunnels]
        tunnels: Counter[tuple[str, str]] = Counter((one.route.name, one.version.name) for one in decisions)
        ejected = frozenset(endpoint.authority for endpoint, pool in self.pools.by_endpoint.items() if pool.ejected)
        self._count()
        delta = self.telemetry.recorder.flush(self._generation, self.clock.now(), cells, tunnels, ejected)
        buffers = self.buffers
        shed, buffers.shed = buffers.shed, 0
        return replace(delta, held=max(buffers.held, 0), room=buffers.limit, shed=shed)

    def listen(self, sock: socket.socket, tls: ListenerTls | None = None, *, proxy_protocol: bool = False) -> None:
        """Serve a bound, listening, non-blocking socket, which is closed by `drain`.

        `proxy_protocol`: trusted proxies begin their connections with a PROXY protocol header.
        """
        sni_contexts = None if tls is None else SniContexts(tls)
        listener = Listener(self, self.slices, sock, sni_contexts, proxy_protocol=proxy_protocol)
        self._listeners.append(listener)
        listener.start()

    def update_certificates(self, certificates: list[ListenerTls | None]) -> None:
        """Replace the certificates of the listeners, in the order they were added; open connections keep theirs.

        While draining there are no listeners left, and nothing is done.
        """
        for listener, tls in zip(self._listeners, certificates, strict=False):
            if listener.sni_contexts is not None and tls is not None:
                listener.sni_contexts.replace(tls)

    # Time.

    def _sweep(self) -> None:
        """Serve every timeout, detect clients that reset while they were not read, close expired idle connections."""
        self._timer = self.clock.loop.call_later(SWEEP_SECONDS, self._sweep)
        tick = self.clock.tick = self.clock.now()
        unread = []
        overdue = []
        for connection in self._connections:
            exchange = connection.exchange
            if (exchange is not None and exchange.deadlines.at <= tick) or connection.deadline <= tick:
                overdue.append(connection)
            elif (connection.blocked or connection.half_closed) and not connection.transport.is_closing():
                unread.append(connection.transport)
        self.slices.add(partial(self._expire, connection, tick) for connection in overdue)
        for listener in self._listeners:
            listener.sweep(tick)
        self._look_for_stalled(tick)
        unread += [side.transport for tunnel in self.tunnels for side in tunnel.unread()]
        for transport in disconnected(unread):
            transport.abort()
        for tunnel in [one for one in self.tunnels if one.last_active + self.settings.timeouts.tunnel_idle <= tick]:
            tunnel.abort()
        if self._aborted and self.settings.timeouts.abort_drain is not None:
            self._cut_aborted(tick - self.settings.timeouts.abort_drain)
        for pool in self.pools.by_endpoint.values():
            pool.sweep(tick)
        self.mirrors.sweep(tick)
        self.telemetry.errors.sweep(tick)
        self.pools.sockets.shortage.sweep()
        self._shedding.sweep()

    def _expire(self, connection: EvictableConnection, tick: float) -> None:
        """The deadline had passed at `tick`; it may have been extended, or the connection closed, since then."""
        if connection not in self._connections:
            return
        exchange = connection.exchange
        if exchange is not None and exchange.deadlines.at <= tick:
            exchange.expired()
        elif connection.deadline <= tick:
            connection.expired()

    def _holders(self) -> list[BufferHolder]:
        """All connections for which bytes may be buffered."""
        return [*self._connections, *self.tunnels]

    def _cut_aborted(self, since: float) -> None:
        """Abort what is still open to canaries that were aborted, or removed, at `since` or before."""

        def over(target: Decision) -> bool:
            at = self._aborted.get(target.route.name, math.inf)
            return at <= since and target.version.name == "canary" and not target.preview

        for tunnel in [one for one in self.tunnels if over(one.exchange.target)]:
            tunnel.abort()
        for exchange in self._exchanges():
            if over(exchange.target):
                exchange.aborted()

    def _exchanges(self) -> list[Exchange]:
        """Exchanges under way, without tunnels."""
        return [one.exchange for one in self._connections if one.exchange is not None]

    # The end.

    async def drain(self) -> int:
        """Stop gracefully: accept connections for a short grace, finish what is open, abort what is overdue.

        A connection is closed with its next response; an idle one is closed without. Requests that the canary has not
        answered shortly before the end are moved to stable if that is possible; requests without a response at the end
        get a local one. Returns the number of exchanges that had to be aborted.
        """
        self.lifetime.draining = True
        self._arrived = self.clock.now()
        deadline = self._arrived + self.settings.timeouts.drain
        latest = min(deadline, self._arrived + GRACE_SECONDS)
        await self._until(lambda: self.clock.now() - self._arrived >= QUIET_SECONDS, latest)
        listeners, self._listeners = self._listeners, []
        patience = max(deadline - self.clock.now(), 0.0)
        await asyncio.gather(*(listener.stop(patience) for listener in listeners))
        self.lifetime.keep_alive = QUIET_SECONDS + SWEEP_SECONDS
        for connection in self._connections:
            connection.close_when_idle()
        last = deadline - min(FINAL_SECONDS, self.settings.timeouts.drain / 4)
        await self._until(self._is_empty, last)
        for exchange in self._exchanges():
            if exchange.target.version.name == "canary":
                exchange.withdraw()
        await self._until(self._is_empty, deadline)
        left = self._exchanges()
        cut = len(left) + len(self.tunnels)
        for exchange in left:
            exchange.fail(Failure.SHUTTING_DOWN)
        if left:
            await self._until(self._is_empty, self.clock.now() + QUIET_SECONDS)
        self.abort()
        return cut

    def _is_empty(self) -> bool:
        return not self._connections and not self.tunnels

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and self.clock.now() < deadline:  # noqa: ASYNC110 - a few looks a second, once in a life
            await asyncio.sleep(QUIET_SECONDS / 5)

    def abort(self) -> None:
        """Close everything now."""
        self._timer.cancel()
        self.slices.close()
        self.telemetry.errors.close()
        self.mirrors.close()
        self.shields.close()
        self.handshakes.close()
        for listener in self._listeners:
            listener.abort()
        for tunnel in list(self.tunnels):
            tunnel.abort()
        for connection in list(self._connections):
            connection.transport.abort()
        for pool in self.pools.by_endpoint.values():
            pool.close()
        self.pools.sockets.close()
