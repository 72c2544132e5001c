"""The data plane as the rest of the program sees it: `publish` a table, collect `deltas`, `listen`, `drain`.

Holds the connections, and the one sweep that serves every timeout. Publishing is one assignment; exchanges under way
keep the decision they began with.
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

from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.decision import Decision
from canaryproxy.model.report import Delta
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import RoutingTable
from canaryproxy.proxy.admission import Admission
from canaryproxy.proxy.context import SWEEP
from canaryproxy.proxy.downstream import Downstream
from canaryproxy.proxy.exchange import Exchange
from canaryproxy.proxy.headcount import Headcount
from canaryproxy.proxy.listener import Listener
from canaryproxy.proxy.presence import vanished
from canaryproxy.proxy.shedding import Holder, Shedding
from canaryproxy.proxy.slices import Slices
from canaryproxy.proxy.tls import Terminator
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.telemetry.accesslog import Entry

GRACE = 5.0
QUIET = 0.25
LAST = 1.0
"""When draining, new connections are served until nothing came for QUIET seconds, GRACE at most. LAST seconds before
its end, or in its last quarter, stable is asked for what the canary has not answered.
"""


class DataPlane(Admission):
    """One worker's data plane. `room`: clients that it can serve itself; `memory`: the share of it that is in use."""

    def __init__(
        self,
        settings: PlaneSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,  # noqa: TID251 - the default of an argument
        dice: Callable[[], float] = random.random,
        access_log: Callable[[Entry], None] | None = None,
        headcount: Headcount | None = None,
        room: float = math.inf,
        secret: bytes = b"",
        memory: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(settings, loop, identity, now, wall, dice, access_log, headcount, room, secret)
        self._generation = 0
        self._aborted: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self.slices = Slices(loop.call_soon, self.pools.sockets.attend)
        self._shedding = Shedding(self.buffers, self._holders, self.slices, self.pools.sockets.shortage.note, memory)
        self._shedding.spare = lambda: self.evict("memory")
        self._timer = loop.call_later(SWEEP, self._sweep)

    def __repr__(self) -> str:
        return f"<DataPlane generation {self._generation}: {len(self._connections)} connections>"

    # The border to the control plane.

    def publish(self, table: RoutingTable) -> None:
        """Make `table` the one that the next request head is decided by."""
        had = {
            name for name, entry in self.routing.index.by_name.items() if not entry.stable_only
        } | self._aborted.keys()
        self.routing.index = RouteIndex(table, self.routing.index)
        self._generation = table.generation
        self.pools.by_decision = {}
        self.pools.places = +self.pools.places
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
        """Everything counted since the last call, and what is overdue now."""
        cells = [(exchange.cell, exchange.waits) for exchange in self._exchanges()]
        decisions = [tunnel.decision for tunnel in self.tunnels]
        tunnels: Counter[tuple[str, str]] = Counter((one.route.name, one.version.name) for one in decisions)
        ejected = frozenset(endpoint.authority for endpoint, pool in self.pools.by_endpoint.items() if pool.ejected)
        self._count()
        delta = self.telemetry.recorder.flush(self._generation, self.clock.now(), cells, tunnels, ejected)
        buffers = self.buffers
        shed, buffers.shed = buffers.shed, 0
        return replace(delta, held=max(buffers.held, 0), room=buffers.limit, shed=shed)

    def listen(self, sock: socket.socket, tls: ListenerTls | None = None, *, preamble: bool = False) -> None:
        """Serve an already bound, listening, non-blocking socket, which is closed when we drain.

        `preamble`: trusted proxies begin their connections with a PROXY protocol header.
        """
        terminator = None if tls is None else Terminator(tls)
        listener = Listener(self, self.clock.loop, sock, terminator, preamble=preamble)
        self._listeners.append(listener)
        listener.start()

    def certify(self, certificates: list[ListenerTls | None]) -> None:
        """New certificates for the listeners, in the order they were added; open connections keep theirs.

        While draining there are no listeners left, and nothing to do.
        """
        for listener, tls in zip(self._listeners, certificates, strict=False):
            if listener.terminator is not None and tls is not None:
                listener.terminator.replace(tls)

    # Time.

    def _sweep(self) -> None:
        """Serve every timeout, notice clients that vanished while we were not reading, expire idle pools."""
        self._timer = self.clock.loop.call_later(SWEEP, self._sweep)
        tick = self.clock.tick = self.clock.now()
        unread = []
        overdue = []
        for connection in self._connections:
            exchange = connection.exchange
            if (exchange is not None and exchange.deadline <= tick) or connection.deadline <= tick:
                overdue.append(connection)
            elif (connection.blocked or connection.half_closed) and not connection.transport.is_closing():
                unread.append(connection.transport)
        self.slices.add(partial(self._expire, connection, tick) for connection in overdue)
        for listener in self._listeners:
            listener.sweep(tick)
        self._look_for_stalled(tick)
        unread += [side.transport for tunnel in self.tunnels for side in tunnel.unread()]
        for transport in vanished(unread):
            transport.abort()
        for tunnel in [one for one in self.tunnels if one.touched + self.settings.timeouts.tunnel_idle <= tick]:
            tunnel.cut()
        if self._aborted and self.settings.timeouts.abort_drain is not None:
            self._cut_aborted(tick - self.settings.timeouts.abort_drain)
        for pool in self.pools.by_endpoint.values():
            pool.sweep(tick)
        self.mirrors.sweep(tick)
        self.telemetry.errors.sweep(tick)
        self.pools.sockets.shortage.sweep()
        self._shedding.sweep()

    def _expire(self, connection: Downstream, tick: float) -> None:
        """Its time was over at this tick; meanwhile it may have got more of it, or have ended."""
        if connection not in self._connections:
            return
        exchange = connection.exchange
        if exchange is not None and exchange.deadline <= tick:
            exchange.expired()
        elif connection.deadline <= tick:
            connection.expired()

    def _holders(self) -> list[Holder]:
        """All for whom bytes may be held."""
        return [*self._connections, *self.tunnels]

    def _cut_aborted(self, since: float) -> None:
        """End what is still open to canaries that were aborted, or removed, at `since` or before."""

        def over(target: Decision) -> bool:
            at = self._aborted.get(target.route.name, math.inf)
            return at <= since and target.version.name == "canary" and not target.preview

        for tunnel in [one for one in self.tunnels if over(one.exchange.target)]:
            tunnel.cut()
        for exchange in self._exchanges():
            if over(exchange.target):
                exchange.aborted()

    def _exchanges(self) -> list[Exchange]:
        """What is under way; tunnels are not."""
        return [one.exchange for one in self._connections if one.exchange is not None]

    # The end.

    async def drain(self) -> int:
        """Stop gracefully: serve newcomers for a short grace, finish what is open, cut what is overdue.

        A connection is told to close with its next answer; only one that stays idle is closed without. What the canary
        has not answered shortly before the end is asked of stable, where that may be done; what has no answer at the
        end gets ours.
        Returns the number of exchanges that had to be cut.
        """
        self.lifetime.draining = True
        self._arrived = self.clock.now()
        deadline = self._arrived + self.settings.timeouts.drain
        await self._until(lambda: self.clock.now() - self._arrived >= QUIET, min(deadline, self._arrived + GRACE))
        listeners, self._listeners = self._listeners, []
        patience = max(deadline - self.clock.now(), 0.0)
        await asyncio.gather(*(listener.stop(patience) for listener in listeners))
        self.lifetime.keep_alive = QUIET + SWEEP
        for connection in self._connections:
            connection.hurry()
        last = deadline - min(LAST, self.settings.timeouts.drain / 4)
        await self._until(self._empty, last)
        for exchange in self._exchanges():
            if exchange.target.version.name == "canary":
                exchange.withdraw()
        await self._until(self._empty, deadline)
        left = self._exchanges()
        cut = len(left) + len(self.tunnels)
        for exchange in left:
            exchange.ended()
        if left:
            await self._until(self._empty, self.clock.now() + QUIET)
        self.abort()
        return cut

    def _empty(self) -> bool:
        return not self._connections and not self.tunnels

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and self.clock.now() < deadline:  # noqa: ASYNC110 - a few looks a second, once in a life
            await asyncio.sleep(QUIET / 5)

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
            tunnel.cut()
        for connection in list(self._connections):
            connection.transport.abort()
        for pool in self.pools.by_endpoint.values():
            pool.close()
        self.pools.sockets.close()
