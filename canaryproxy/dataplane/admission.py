"""Who is let in, and who gives way: the places of a worker, as far as the limits of the instance leave them to it.

A newcomer that finds all places taken gets that of a client that is idle, or that is too slow (`SlowClients`); who that
is,
`eviction` says. Only where all are busy it is refused. Workers share `max_connections` by what they say of themselves.
A worker serves most of its fair share whatever the others say, so that one that was taken over cannot have all others
turn everybody away.
"""

import asyncio
import math
from collections.abc import Callable
from functools import lru_cache

from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.dataplane.context import WorkerContext
from canaryproxy.dataplane.evictable_connection import EvictableConnection
from canaryproxy.dataplane.eviction import GRACE_SECONDS, YOUNG_SECONDS, ConnectionSlot, ConnectionSlots, Evictable
from canaryproxy.dataplane.handshakes import HandshakeQueue
from canaryproxy.dataplane.resource_exhaustion import FULL, OF_ADDRESS
from canaryproxy.dataplane.slow_clients import SlowClients
from canaryproxy.dataplane.tunnel import Tunnel
from canaryproxy.http.forwarding import ForwardedClient
from canaryproxy.model.client_prefix import client_prefix
from canaryproxy.model.failure import Failure
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.telemetry.record.access_log import AccessLogEntry

PRESSURE_SECONDS = 10.0
"""Seconds after a newcomer found all places taken in which slow clients are looked for."""

RECLAIM_BATCH = 8
"""Clients that give their descriptors at a time."""

_client_prefix = lru_cache(4096)(client_prefix)


class Admission(WorkerContext):
    """`room`: clients that this worker can serve itself."""

    def __init__(
        self,
        settings: PlaneSettings,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        now: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: Callable[[], float],
        access_log: Callable[[AccessLogEntry], None] | None,
        connection_count: SharedConnectionCount | None,
        room: float,
        secret: bytes = b"",
    ) -> None:
        super().__init__(settings, loop, identity, now, wall_clock, rng, access_log, secret)
        limits = settings.limits
        self._connection_count = connection_count or SharedConnectionCount()
        self._room = room
        self._fair_share_of_limit = self._connection_count.fair_share(limits.max_connections)
        self._share = limits.max_connections // self._connection_count.workers
        self._counts_addresses = limits.connections_per_address is not None
        if self._counts_addresses:
            self._connection_count.clear_sketch()
        self._connections: set[EvictableConnection] = set()
        self._slots = ConnectionSlots(int(min(limits.max_connections, room)), YOUNG_SECONDS)
        self._slow_clients = SlowClients()
        self._pressed_since = -math.inf
        self._arrived = self.clock.tick
        self.handshakes = HandshakeQueue(
            loop,
            -(-limits.handshakes // self._connection_count.workers),
            lambda: self.telemetry.recorder.evict("handshakes"),
        )

    # Who comes.

    def client_for(self, address: str, scheme: bytes = b"http") -> ForwardedClient:
        """Who a client is and whether its forwarding fields are believed."""
        settings = self.settings
        return self.head_rewriter.client_for(address, scheme, settings.trusted_proxies, settings.forwarding)

    @staticmethod
    def client_prefix(address: str) -> str:
        """What an address is counted by."""
        return _client_prefix(address)

    def trusts(self, address: str) -> bool:
        """Whether a peer is one of the proxies in front of us, which carry many clients."""
        return bool(self.settings.trusted_proxies) and self.client_for(address).trusted

    def at_capacity(self) -> bool:
        """Whether there is no room for another client, here or in the instance. Below an equal share a worker takes one
        even so if others have one to spare, which they close at their next sweep.
        """
        here, connection_count = self._slots.count, self._connection_count
        if here >= self._room:
            return True
        if here < self._fair_share_of_limit or connection_count.total < self.settings.limits.max_connections:
            return False
        return here >= self._share or not connection_count.evictable_elsewhere

    def over_fair_share(self) -> bool:
        """Whether another worker should take the next client: this one has more than its share of all, or is full of
        such as do not give way.
        """
        if self.lifetime.draining or self._connection_count.workers == 1:
            return False
        return self._connection_count.above_fair_share(0) or (
            self.at_capacity() and self._slots.choose(self.clock.now()) is None
        )

    def too_many(self, address: str) -> bool:
        """Whether an address has all the connections that it may have; it is counted and logged then."""
        most = self.settings.limits.connections_per_address
        if most is None:
            return False
        counted = self.client_prefix(address)
        here = self._slots.count_of(counted)
        if (
            here < self._connection_count.fair_share(most)
            or here + self._connection_count.address_count_elsewhere(counted) < most
        ):
            return False
        if self.trusts(address):
            return False
        self.refused("address", Failure.TOO_MANY_CONNECTIONS)
        return True

    def refusal(self, address: str) -> Failure | None:
        """Why a newcomer cannot be let in; None where it can, another one may have given way for it."""
        if self.too_many(address):
            return Failure.TOO_MANY_CONNECTIONS
        if self.at_capacity() and not self._evict_one():
            self.refused("full", Failure.OVERLOADED)
            return Failure.OVERLOADED
        return None

    def _evict_one(self) -> bool:
        self._pressed_since = self.clock.tick
        return self.evict("full")

    def refused(self, reason: str, failure: Failure) -> None:
        """Count, and log, a connection that is not let in."""
        if reason != "files":
            self.pools.sockets.shortage.note(OF_ADDRESS if reason == "address" else FULL)
        self.telemetry.recorder.connection_rejected(reason)
        self.telemetry.recorder.refuse(failure.status)

    def register(self, connection: EvictableConnection) -> Failure | None:
        """Register a new connection; the failure says why it cannot be served."""
        self._arrived = self.clock.now()
        self._connections.add(connection)
        if connection.place is not None:
            connection.place.owner = connection
            return None
        peer = connection.peer
        address = peer.address.decode("ascii")
        failure = self.refusal(address)
        if failure is None:
            connection.place = self.take_slot(connection, address, peer.trusted)
        return failure

    def take_slot(self, holder: Evictable, address: str, shared: bool) -> ConnectionSlot:
        """Give someone a place."""
        slot = self._slots.take(holder, self.client_prefix(address), shared=shared)
        if self._counts_addresses and slot.group is not None:
            self._connection_count.add_address(slot.group.key, 1)
        self._count()
        return slot

    # Who goes.

    def release_slot(self, slot: ConnectionSlot) -> None:
        """A place is free."""
        if self._slots.release(slot) and self._counts_addresses and slot.group is not None:
            self._connection_count.add_address(slot.group.key, -1)
        self._count()

    def unregister(self, connection: EvictableConnection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._slow_clients.forget(connection)
        self._leave(connection)

    def _leave(self, connection: EvictableConnection) -> None:
        """It has no place any more. The two do not hold each other then: what a flood leaves behind would else wait for
        the garbage collector, which holds the loop for tens of milliseconds.
        """
        slot, connection.place = connection.place, None
        if slot is not None:
            self.release_slot(slot)

    def become_tunnel(self, connection: EvictableConnection) -> None:
        """A connection goes on as a tunnel, and keeps its place."""
        self._connections.discard(connection)
        self._slow_clients.forget(connection)

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """A tunnel is gone, and its client's place is free."""
        super().end_tunnel(tunnel)
        client = tunnel.exchange.down
        if isinstance(client, EvictableConnection):
            self._leave(client)

    def idle(self, connection: EvictableConnection) -> None:
        """A connection that was found busy is so no more."""
        if connection.place is not None:
            self._slots.idle(connection.place)

    def evict(self, reason: str, least: float = 0.0) -> bool:
        """Close the client connection that can best be spared, counted under this reason; False where all are busy, or
        that one has been idle for less than `least` seconds.

        Its place is free at once, its descriptor and memory in the next turn of the loop.
        """
        now = self.clock.now()
        slot = self._slots.choose(now)
        if slot is None or now - slot.owner.idle_since() < least:
            return False
        self.release_slot(slot)
        self.telemetry.recorder.evict(reason)
        slot.owner.evict()
        return True

    def close_client(self, connection: EvictableConnection, reason: str) -> None:
        """Close this client connection, whatever it is doing, counted under this reason."""
        if connection.place is not None:
            self.release_slot(connection.place)
        self.telemetry.recorder.evict(reason)
        connection.evict()

    def close_idle_connections(self) -> bool:
        """Close idle connections for their descriptors: to endpoints first, then of clients that have been idle for a
        while. Whether there were any.
        """
        return (
            super().close_idle_connections()
            or sum(self.evict("files", GRACE_SECONDS) for _ in range(RECLAIM_BATCH)) > 0
        )

    def _look_for_stalled(self, tick: float) -> None:
        """Slow clients give way as idle ones do, as long as places are lacking. Where this worker has more than its
        share of too many clients, its idle ones give way without a newcomer.
        """
        if tick - self._pressed_since < PRESSURE_SECONDS:
            for connection in self._connections:
                if self._slow_clients.check(connection, tick):
                    self.idle(connection)
        else:
            self._slow_clients.clear()
        self._connection_count.report_evictable(sum(connection.exchange is None for connection in self._connections))
        most = self.settings.limits.max_connections
        while self._slots.count > self._share and self._connection_count.total > most and self.evict("full"):
            pass

    def _count(self) -> None:
        """Tell the other workers at once how many clients are here."""
        self._connection_count.report(self._slots.count)
