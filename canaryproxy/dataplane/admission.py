"""Admission of client connections: how many a worker serves, and which one is evicted for a new one.

When all slots are taken, a new connection gets the slot of an idle client or of one that is too slow (`SlowClients`);
`eviction` chooses it. If every client is busy, the new connection is refused. Workers share `max_connections` through
the counts they publish. A worker serves most of its fair share whatever the others publish, so a compromised worker
cannot make the others refuse everyone.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.dataplane.context import Clock, Telemetry, WorkerContext
from canaryproxy.dataplane.evictable_connection import EvictableConnection
from canaryproxy.dataplane.eviction import GRACE_SECONDS, YOUNG_SECONDS, ConnectionSlot, ConnectionSlots, Evictable
from canaryproxy.dataplane.handshakes import HandshakeQueue
from canaryproxy.dataplane.resource_exhaustion import FULL, OF_ADDRESS
from canaryproxy.dataplane.slow_clients import SlowClients
from canaryproxy.dataplane.tunnel import Tunnel
from canaryproxy.http.forwarding import ForwardedClient
from canaryproxy.model.client import client_prefix
from canaryproxy.model.failure import Failure
from canaryproxy.model.settings import PlaneSettings

# Seconds after a new connection found no free slot during which slow clients are looked for.
PRESSURE_SECONDS = 10.0

# Client connections closed at a time to free file descriptors.
RECLAIM_BATCH = 8

# The prefix by which a client address is counted.
counted_prefix = lru_cache(4096)(client_prefix)


class Admission(WorkerContext):
    """The context of a worker that limits its clients. `room`: clients that this worker can serve by itself."""

    def __init__(
        self,
        settings: PlaneSettings,
        clock: Clock,
        telemetry: Telemetry,
        identity: str,
        rng: Callable[[], float],
        connection_count: SharedConnectionCount | None,
        room: float,
    ) -> None:
        super().__init__(settings, clock, telemetry, identity, rng)
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
            clock.loop,
            -(-limits.handshakes // self._connection_count.workers),
            lambda: self.telemetry.recorder.evict("handshakes"),
        )

    # Arrivals.

    def client_for(self, address: str, scheme: bytes = b"http") -> ForwardedClient:
        """The client at an address, and whether its forwarding fields are trusted."""
        settings = self.settings
        return self.head_rewriter.client_for(address, scheme, settings.trusted_proxies, settings.forwarding)

    def trusts(self, address: str) -> bool:
        """Whether a peer is a trusted proxy, which carries many clients."""
        return bool(self.settings.trusted_proxies) and self.client_for(address).trusted

    def at_capacity(self) -> bool:
        """Whether there is no room for another client, in this worker or in the instance. Below an equal share, a
        worker accepts a client even so if other workers have idle ones, which they close at their next sweep.
        """
        here, connection_count = self._slots.count, self._connection_count
        if here >= self._room:
            return True
        if here < self._fair_share_of_limit or connection_count.total < self.settings.limits.max_connections:
            return False
        return here >= self._share or not connection_count.evictable_elsewhere

    def over_fair_share(self) -> bool:
        """Whether another worker should accept the next client: this one serves more than its share, or all its slots
        are held by busy clients.
        """
        if self.lifetime.draining or self._connection_count.workers == 1:
            return False
        if self._connection_count.above_fair_share(0):
            return True
        return self.at_capacity() and self._slots.choose(self.clock.now()) is None

    def too_many(self, address: str) -> bool:
        """Whether an address has as many connections as it may have. If so, that is counted and logged."""
        most = self.settings.limits.connections_per_address
        if most is None:
            return False
        counted = counted_prefix(address)
        here, count = self._slots.count_of(counted), self._connection_count
        if here < count.fair_share(most) or here + count.address_count_elsewhere(counted) < most:
            return False
        if self.trusts(address):
            return False
        self.refused("address", Failure.TOO_MANY_CONNECTIONS)
        return True

    def refusal(self, address: str) -> Failure | None:
        """The reason to refuse a new connection; None if there is room, maybe after an eviction."""
        if self.too_many(address):
            return Failure.TOO_MANY_CONNECTIONS
        if self.at_capacity():
            self._pressed_since = self.clock.tick
            if not self.evict("full"):
                self.refused("full", Failure.OVERLOADED)
                return Failure.OVERLOADED
        return None

    def refused(self, reason: str, failure: Failure) -> None:
        """Count and log a refused connection."""
        if reason != "files":
            self.pools.sockets.shortage.note(OF_ADDRESS if reason == "address" else FULL)
        self.telemetry.recorder.connection_rejected(reason)
        self.telemetry.recorder.refuse(failure.status)

    def register(self, connection: EvictableConnection) -> Failure | None:
        """Register a new connection; returns the reason if it cannot be served."""
        self._arrived = self.clock.now()
        self._connections.add(connection)
        if connection.slot is not None:
            connection.slot.owner = connection
            return None
        peer = connection.peer
        address = peer.address.decode("ascii")
        failure = self.refusal(address)
        if failure is None:
            connection.slot = self.take_slot(connection, address, peer.trusted)
        return failure

    def take_slot(self, holder: Evictable, address: str, shared: bool) -> ConnectionSlot:
        """Take a slot for a connection. `shared`: the address carries many clients, which are not added up."""
        slot = self._slots.take(holder, counted_prefix(address), shared=shared)
        if self._counts_addresses and slot.group is not None:
            self._connection_count.add_address(slot.group.key, 1)
        self._count()
        return slot

    # Departures.

    def release_slot(self, slot: ConnectionSlot) -> None:
        """Release a slot."""
        if self._slots.release(slot) and self._counts_addresses and slot.group is not None:
            self._connection_count.add_address(slot.group.key, -1)
        self._count()

    def unregister(self, connection: EvictableConnection) -> None:
        """Forget a closed connection and release its slot."""
        self.become_tunnel(connection)
        self._leave(connection)

    def _leave(self, connection: EvictableConnection) -> None:
        """Release the connection's slot, and break the reference cycle between them: after a flood the garbage
        collector would block the loop for tens of milliseconds.
        """
        slot, connection.slot = connection.slot, None
        if slot is not None:
            self.release_slot(slot)

    def become_tunnel(self, connection: EvictableConnection) -> None:
        """Forget a connection that became a tunnel. It keeps its slot."""
        self._connections.discard(connection)
        self._slow_clients.forget(connection)

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """Forget a closed tunnel and release its client's slot."""
        super().end_tunnel(tunnel)
        client = tunnel.exchange.down
        if isinstance(client, EvictableConnection):
            self._leave(client)

    def idle(self, connection: EvictableConnection) -> None:
        """Make a connection that was found busy a candidate for eviction again."""
        if connection.slot is not None:
            self._slots.idle(connection.slot)

    def evict(self, reason: str, least: float = 0.0) -> bool:
        """Evict the best candidate among the client connections, counted under `reason`. Returns False if all are busy,
        or the candidate has been idle for less than `least` seconds.

        The slot is free at once, the descriptor and the memory in the next turn of the loop.
        """
        now = self.clock.now()
        slot = self._slots.choose(now)
        if slot is None or now - slot.owner.idle_since() < least:
            return False
        self.release_slot(slot)
        self.telemetry.recorder.evict(reason)
        slot.owner.evict()
        return True

    def close_idle_connections(self) -> bool:
        """Close idle connections to free descriptors: to endpoints first, then of clients. Whether there were any."""
        closed = super().close_idle_connections()
        return closed or sum(self.evict("files", GRACE_SECONDS) for _ in range(RECLAIM_BATCH)) > 0

    def _look_for_stalled(self, tick: float) -> None:
        """While slots are scarce, make slow clients candidates for eviction. If the instance has too many clients and
        this worker more than its share, evict idle ones even without a new connection.
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
        """Publish the number of clients of this worker to the other workers."""
        self._connection_count.report(self._slots.count)
