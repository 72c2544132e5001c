"""The data plane as the rest of the program sees it: `publish` a table, collect `deltas`, `listen`, `drain`.

Holds what all connections share: the table's index, the splits, the pools, the counters, and the one
sweep that serves every timeout. Publishing is one assignment; exchanges under way keep the decision they
began with.
"""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address

from canaryproxy.http1.hops import Hops, Peer
from canaryproxy.model.decision import Decision
from canaryproxy.model.delta import Delta
from canaryproxy.model.failure import Failure
from canaryproxy.model.message import RequestHead
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.proxy.downstream import Downstream
from canaryproxy.proxy.pool import Pool
from canaryproxy.proxy.presence import vanished
from canaryproxy.proxy.respond import answer
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.record import Recorder

SWEEP = 0.25
"""Seconds between two sweeps; deadlines are met up to twice that late, never early."""

GRACE = 5.0
QUIET = 0.25
"""When draining, new connections are served until nothing came for QUIET seconds, GRACE at most."""


class DataPlane:
    """One worker's data plane. `identity` is the instance's pseudonym; clock and dice are arguments."""

    def __init__(
        self,
        settings: PlaneSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        now: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.now = now
        self.tick = now()
        self.slack = SWEEP
        self.keep_alive = settings.timeouts.keep_alive + SWEEP
        self.draining = False
        self.recorder = Recorder()
        self.hops = Hops(identity, int(dice() * 2**64))
        self._loop = loop
        self._identity = identity
        self._generation = 0
        self.index = RouteIndex(RoutingTable(0, ()))
        self.splits = Splits(dice)
        self._pools: dict[Endpoint, Pool] = {}
        self.lent: dict[Decision, Pool] = {}
        self._connections: set[Downstream] = set()
        self._listeners: list[tuple[asyncio.AbstractServer, socket.socket]] = []
        self._arrived = self.tick
        self._timer = loop.call_later(SWEEP, self._sweep)

    def __repr__(self) -> str:
        return f"<DataPlane generation {self._generation}: {len(self._connections)} connections>"

    # The border to the control plane.

    def publish(self, table: RoutingTable) -> None:
        """Make `table` the one that the next request head is decided by."""
        self.index = RouteIndex(table)
        self._generation = table.generation
        self.lent = {}
        versions = [version for route in table.routes for version in (route.stable, route.canary)]
        named = {endpoint for version in versions for endpoint in version.endpoints}
        for endpoint in self._pools.keys() - named:
            self._pools.pop(endpoint).retire()
        self.splits.forget({route.name for route in table.routes})

    def deltas(self) -> Delta:
        """Everything counted since the last call, and what is overdue now."""
        cells = [connection.exchange.cell for connection in self._connections if connection.exchange is not None]
        return self.recorder.flush(self._generation, self.now(), cells)

    async def listen(self, sock: socket.socket) -> None:
        """Serve an already bound, listening, non-blocking socket, which is closed when we drain."""
        server = await self._loop.create_server(self._connect, sock=sock.dup())
        self._listeners.append((server, sock))

    def _connect(self) -> Downstream:
        return Downstream(self)

    # What connections and exchanges share.

    def lend(self, decision: Decision) -> Pool:
        """The connections to the decision's endpoint, found or made, and noted in `lent`."""
        pool = self._pools.get(decision.endpoint)
        if pool is None:
            pool = self._pools[decision.endpoint] = Pool(decision.endpoint, self._loop)
        self.lent[decision] = pool
        return pool

    def in_seconds(self, seconds: float) -> float:
        """A deadline that is not met early although `tick` is coarse."""
        return self.tick + seconds + self.slack

    def answer(self, transport: asyncio.Transport, failure: Failure, head: RequestHead | None, *, close: bool) -> None:
        """Send our own response for a failure."""
        transport.write(answer(failure, head, self._identity, close=close))

    def meet(self, peername: tuple[str, int] | str | None) -> Peer:
        """Who a client is and whether its forwarding fields are believed."""
        address = peername[0] if isinstance(peername, tuple) else ""
        trusted = False
        if self.settings.trusted_proxies and address:
            ip = ip_address(address.partition("%")[0])
            ip = getattr(ip, "ipv4_mapped", None) or ip
            trusted = any(ip in network for network in self.settings.trusted_proxies)
        return self.hops.peer(address or "unknown", trusted=trusted)

    def admit(self, connection: Downstream) -> bool:
        """Register a new connection; False when there are too many to serve it."""
        self._arrived = self.now()
        self._connections.add(connection)
        return len(self._connections) <= self.settings.limits.max_connections

    def forget(self, connection: Downstream) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    # Time.

    def _sweep(self) -> None:
        """Serve every timeout, notice clients that vanished while we were not reading, expire idle pools."""
        self._timer = self._loop.call_later(SWEEP, self._sweep)
        tick = self.tick = self.now()
        unread = []
        for connection in list(self._connections):
            exchange = connection.exchange
            if exchange is not None and exchange.deadline <= tick:
                exchange.expired()
            elif connection.deadline <= tick:
                connection.expired()
            elif (connection.blocked or connection.half_closed) and not connection.transport.is_closing():
                unread.append(connection.transport)
        for transport in vanished(unread):
            transport.abort()
        for pool in self._pools.values():
            pool.sweep(tick)

    # The end.

    async def drain(self) -> int:
        """Stop gracefully: serve newcomers for a short grace, finish what is open, cut what is overdue.

        A connection is told to close with its next answer; only one that stays idle is closed without.
        Returns the number of exchanges that had to be cut.
        """
        self.draining = True
        self._arrived = self.now()
        deadline = self._arrived + self.settings.timeouts.drain
        await self._until(lambda: self.now() - self._arrived >= QUIET, min(deadline, self._arrived + GRACE))
        await self._stop_listening()
        self.keep_alive = QUIET + SWEEP
        for connection in self._connections:
            connection.hurry()
        await self._until(lambda: not self._connections, deadline)
        cut = sum(connection.exchange is not None for connection in self._connections)
        self.abort()
        return cut

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and self.now() < deadline:  # noqa: ASYNC110 - a few looks a second, once in a life
            await asyncio.sleep(QUIET / 5)

    async def _stop_listening(self) -> None:
        """Close the listeners; connections the kernel has already completed are served, not reset."""
        listeners, self._listeners = self._listeners, []
        for server, _ in listeners:
            server.close()
        await asyncio.sleep(0)
        for _, sock in listeners:
            accepted = accept_all(sock)
            sock.close()
            for connection in accepted:
                await self._loop.connect_accepted_socket(self._connect, connection)

    def abort(self) -> None:
        """Close everything now."""
        self._timer.cancel()
        for server, sock in self._listeners:
            server.close()
            sock.close()
        for connection in list(self._connections):
            connection.transport.abort()
        for pool in self._pools.values():
            pool.close()


def accept_all(sock: socket.socket) -> list[socket.socket]:
    """Every connection in the accept queue of a non-blocking listening socket."""
    accepted = []
    while True:
        try:
            accepted.append(sock.accept()[0])
        except BlockingIOError:
            return accepted
