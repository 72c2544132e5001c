"""Who is let in, and who gives way: the places of a worker, as far as the limits of the instance leave them to it.

A newcomer that finds all places taken gets that of a client that is idle, or that is too slow (`Stalls`); who that is,
`eviction` says. Only where all are busy it is refused. Workers share `max_connections` by what they say of themselves.
A worker serves most of its fair share whatever the others say, so that one that was taken over cannot have all others
turn everybody away.
"""

import asyncio
import math
from collections.abc import Callable
from functools import lru_cache

from canaryproxy.http.forwarding import ForwardedClient
from canaryproxy.model.client_prefix import client_prefix
from canaryproxy.model.failure import Failure
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.proxy.context import WorkerContext
from canaryproxy.proxy.downstream import Downstream
from canaryproxy.proxy.eviction import GRACE, YOUNG, Holder, Place, Places
from canaryproxy.proxy.handshakes import Handshakes
from canaryproxy.proxy.headcount import Headcount
from canaryproxy.proxy.shortage import FULL, OF_ADDRESS
from canaryproxy.proxy.stalls import Stalls
from canaryproxy.proxy.tunnel import Tunnel
from canaryproxy.telemetry.accesslog import Entry

PRESSED = 10.0
"""Seconds after a newcomer found all places taken in which slow clients are looked for."""

RECLAIMED = 8
"""Clients that give their descriptors at a time."""

_neighbourhood = lru_cache(4096)(client_prefix)


class Admission(WorkerContext):
    """`room`: clients that this worker can serve itself."""

    def __init__(
        self,
        settings: PlaneSettings,
        loop: asyncio.AbstractEventLoop,
        identity: str,
        now: Callable[[], float],
        wall: Callable[[], float],
        dice: Callable[[], float],
        access_log: Callable[[Entry], None] | None,
        headcount: Headcount | None,
        room: float,
        secret: bytes = b"",
    ) -> None:
        super().__init__(settings, loop, identity, now, wall, dice, access_log, secret)
        limits = settings.limits
        self._headcount = headcount or Headcount()
        self._room = room
        self._fair = self._headcount.fair(limits.max_connections)
        self._share = limits.max_connections // self._headcount.workers
        self._tallied = limits.connections_per_address is not None
        if self._tallied:
            self._headcount.begin_tally()
        self._connections: set[Downstream] = set()
        self._places = Places(int(min(limits.max_connections, room)), YOUNG)
        self._stalls = Stalls()
        self._pressed = -math.inf
        self._arrived = self.clock.tick
        self.handshakes = Handshakes(
            loop, -(-limits.handshakes // self._headcount.workers), lambda: self.telemetry.recorder.evict("handshakes")
        )

    # Who comes.

    def meet(self, address: str, scheme: bytes = b"http") -> ForwardedClient:
        """Who a client is and whether its forwarding fields are believed."""
        settings = self.settings
        return self.hops.client_for(address, scheme, settings.trusted_proxies, settings.forwarding)

    @staticmethod
    def neighbourhood(address: str) -> str:
        """What an address is counted by."""
        return _neighbourhood(address)

    def trusts(self, address: str) -> bool:
        """Whether a peer is one of the proxies in front of us, which carry many clients."""
        return bool(self.settings.trusted_proxies) and self.meet(address).trusted

    def full(self) -> bool:
        """Whether there is no room for another client, here or in the instance. Below an equal share a worker takes one
        even so if others have one to spare, which they close at their next sweep.
        """
        here, headcount = self._places.count, self._headcount
        if here >= self._room:
            return True
        if here < self._fair or headcount.total < self.settings.limits.max_connections:
            return False
        return here >= self._share or not headcount.spare_elsewhere

    def crowded(self) -> bool:
        """Whether another worker should take the next client: this one has more than its share of all, or is full of
        such as do not give way.
        """
        if self.lifetime.draining or self._headcount.workers == 1:
            return False
        return self._headcount.ahead(0) or (self.full() and self._places.choose(self.clock.now()) is None)

    def too_many(self, address: str) -> bool:
        """Whether an address has all the connections that it may have; it is counted and logged then."""
        most = self.settings.limits.connections_per_address
        if most is None:
            return False
        counted = self.neighbourhood(address)
        here = self._places.of(counted)
        if here < self._headcount.fair(most) or here + self._headcount.elsewhere(counted) < most:
            return False
        if self.trusts(address):
            return False
        self.refused("address", Failure.TOO_MANY_CONNECTIONS)
        return True

    def refusal(self, address: str) -> Failure | None:
        """Why a newcomer cannot be let in; None where it can, another one may have given way for it."""
        if self.too_many(address):
            return Failure.TOO_MANY_CONNECTIONS
        if self.full() and not self._make_room():
            self.refused("full", Failure.OVERLOADED)
            return Failure.OVERLOADED
        return None

    def _make_room(self) -> bool:
        self._pressed = self.clock.tick
        return self.evict("full")

    def refused(self, reason: str, failure: Failure) -> None:
        """Count, and log, a connection that is not let in."""
        if reason != "files":
            self.pools.sockets.shortage.note(OF_ADDRESS if reason == "address" else FULL)
        self.telemetry.recorder.turn_away(reason)
        self.telemetry.recorder.refuse(failure.status)

    def admit(self, connection: Downstream) -> Failure | None:
        """Register a new connection; the failure says why it cannot be served."""
        self._arrived = self.clock.now()
        self._connections.add(connection)
        if connection.place is not None:
            connection.place.holder = connection
            return None
        peer = connection.peer
        address = peer.address.decode("ascii")
        failure = self.refusal(address)
        if failure is None:
            connection.place = self.enter(connection, address, peer.trusted)
        return failure

    def enter(self, holder: Holder, address: str, shared: bool) -> Place:
        """Give someone a place."""
        place = self._places.enter(holder, self.neighbourhood(address), shared=shared)
        if self._tallied and place.group is not None:
            self._headcount.tally(place.group.key, 1)
        self._count()
        return place

    # Who goes.

    def give_up(self, place: Place) -> None:
        """A place is free."""
        if self._places.leave(place) and self._tallied and place.group is not None:
            self._headcount.tally(place.group.key, -1)
        self._count()

    def forget(self, connection: Downstream) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._stalls.forget(connection)
        self._leave(connection)

    def _leave(self, connection: Downstream) -> None:
        """It has no place any more. The two do not hold each other then: what a flood leaves behind would else wait for
        the garbage collector, which holds the loop for tens of milliseconds.
        """
        place, connection.place = connection.place, None
        if place is not None:
            self.give_up(place)

    def become_tunnel(self, connection: Downstream) -> None:
        """A connection goes on as a tunnel, and keeps its place."""
        self._connections.discard(connection)
        self._stalls.forget(connection)

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """A tunnel is gone, and its client's place is free."""
        super().end_tunnel(tunnel)
        client = tunnel.exchange.down
        if isinstance(client, Downstream):
            self._leave(client)

    def idle(self, connection: Downstream) -> None:
        """A connection that was found busy is so no more."""
        if connection.place is not None:
            self._places.idle(connection.place)

    def evict(self, reason: str, least: float = 0.0) -> bool:
        """Close the client connection that can best be spared, counted under this reason; False where all are busy, or
        that one has been idle for less than `least` seconds.

        Its place is free at once, its descriptor and memory in the next turn of the loop.
        """
        now = self.clock.now()
        place = self._places.choose(now)
        if place is None or now - place.holder.idle_since() < least:
            return False
        self.give_up(place)
        self.telemetry.recorder.evict(reason)
        place.holder.give_way()
        return True

    def spare(self, connection: Downstream, reason: str) -> None:
        """Close this client connection, whatever it is doing, counted under this reason."""
        if connection.place is not None:
            self.give_up(connection.place)
        self.telemetry.recorder.evict(reason)
        connection.give_way()

    def reclaim(self) -> bool:
        """Close idle connections for their descriptors: to endpoints first, then of clients that have been idle for a
        while. Whether there were any.
        """
        return super().reclaim() or sum(self.evict("files", GRACE) for _ in range(RECLAIMED)) > 0

    def _look_for_stalled(self, tick: float) -> None:
        """Slow clients give way as idle ones do, as long as places are lacking. Where this worker has more than its
        share of too many clients, its idle ones give way without a newcomer.
        """
        if tick - self._pressed < PRESSED:
            for connection in self._connections:
                if self._stalls.look(connection, tick):
                    self.idle(connection)
        else:
            self._stalls.clear()
        self._headcount.report_spare(sum(connection.exchange is None for connection in self._connections))
        most = self.settings.limits.max_connections
        while self._places.count > self._share and self._headcount.total > most and self.evict("full"):
            pass

    def _count(self) -> None:
        """Tell the other workers at once how many clients are here."""
        self._headcount.report(self._places.count)
