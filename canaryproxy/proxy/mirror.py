"""Copies of requests for the canary, whose answers are dropped.

A copy shares nothing with the exchange it was made from: it has its own bytes, connections, pools, limits and
counters, and is sent when the exchange has had its turn on the loop. Whatever becomes of the canary, what waits for
it here is bounded, and what finds no room is dropped and counted.
"""

from collections import deque
from typing import TYPE_CHECKING

from canaryproxy.http.forwarding import ForwardedClient, HeadRewriter
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.head import RequestHead
from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.proxy.mirror_copy import Copy
from canaryproxy.proxy.pool import Pool
from canaryproxy.proxy.sockets import Sockets
from canaryproxy.routing.balancing import pick
from canaryproxy.routing.compiled_route import MIRROR, mirror_of
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.errorlog import ErrorLog

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from canaryproxy.telemetry.record import Recorder

UNDER_WAY = 64
"""Copies of one route that are at the canary at one time, for each worker."""

QUEUED = 256
"""Copies of one route that wait for their turn."""

BYTES = 4_194_304
"""Of all copies of one route that grow, wait or are under way, heads and bodies."""


class Lot:
    """The copies of one route: those under way, and those that wait."""

    def __init__(self, mirrors: "Mirrors", route: str) -> None:
        self._mirrors = mirrors
        self.errors, self.hops, self.now = mirrors.errors, mirrors.hops, mirrors.now
        self._route = route
        self._queue: deque[Copy] = deque()
        self._under_way: set[Copy] = set()
        self._bytes = 0
        self._woken = False
        self.verdict: VersionChoice | None = None

    def __repr__(self) -> str:
        return f"<Lot of {self._route}: {len(self._under_way)} under way, {len(self._queue)} waiting>"

    def drop(self, outcome: Outcome) -> None:
        """There will be no such copy."""
        self._mirrors.recorder.mirror_dropped(self._route, outcome)

    def enqueue(self, copy: Copy) -> None:
        """Let it wait for its turn, if there is room."""
        if len(self._queue) >= QUEUED or not self.hold(copy, copy.head_bytes):
            self.let_go(copy)
            self.drop(Outcome.OVERFLOW)
            return
        self._queue.append(copy)
        self._wake()

    def hold(self, copy: Copy, size: int) -> bool:
        """Take room for so many bytes more of a copy; False when there is none, here or in the worker."""
        buffers = self._mirrors.sockets.buffers
        if self._bytes + size > BYTES or buffers.tight:
            return False
        buffers.add(size)
        self._bytes += size
        copy.weight += size
        return True

    def let_go(self, copy: Copy) -> None:
        """Give back the room that a copy took."""
        self._mirrors.sockets.buffers.drop(copy.weight)
        self._bytes -= copy.weight
        copy.weight = 0

    def _wake(self) -> None:
        """Send what may be sent, when those who are waited for have had their turn."""
        if not self._woken and self._queue and len(self._under_way) < UNDER_WAY:
            self._woken = True
            self._mirrors.sockets.loop.call_soon(self._send)

    def _send(self) -> None:
        """One at a time: others take turns in between."""
        self._woken = False
        if not self._queue:
            return
        copy = self._queue.popleft()
        decision = self._mirrors.choose(self.verdict)
        if decision is None:
            self.let_go(copy)
            self.drop(Outcome.UNAVAILABLE)
        else:
            self._under_way.add(copy)
            self._mirrors.recorder.mirror_sent(self._route)
            copy.start(decision, self._mirrors.pool_of(decision))
        self._wake()

    def finished(self, copy: Copy, outcome: Outcome) -> None:
        """It was answered, or never will be."""
        self._under_way.discard(copy)
        self.let_go(copy)
        self._mirrors.recorder.mirror_ended(self._route, outcome)
        self._wake()

    def sweep(self, tick: float) -> None:
        """End those whose time is over."""
        for copy in [one for one in self._under_way if one.deadline <= tick]:
            copy.expired()

    def stop(self) -> None:
        """Send no more: the route is gone, or its canary off."""
        self.verdict = None
        while self._queue:
            self.let_go(self._queue.popleft())
            self.drop(Outcome.UNAVAILABLE)
        for copy in list(self._under_way):
            copy.give_up()


class Mirrors:
    """All copies of a worker, and the connections that are theirs alone."""

    def __init__(
        self,
        sockets: Sockets,
        splits: Splits,
        hops: HeadRewriter,
        recorder: "Recorder",
        errors: ErrorLog,
        now: "Callable[[], float]",
    ) -> None:
        self.sockets = sockets
        self.hops = hops
        self.recorder = recorder
        self.errors = errors
        self.now = now
        self._splits = splits
        self._lots: dict[str, Lot] = {}
        self._pools: dict[Endpoint, Pool] = {}
        self._named: Set[Endpoint] = frozenset()

    def __repr__(self) -> str:
        return f"<Mirrors {list(self._lots.values())}>"

    def copy(self, verdict: VersionChoice, head: RequestHead, peer: ForwardedClient, identified: bytes) -> Copy | None:
        """The beginning of a copy, if this request is drawn for one. `identified` is the line with its id."""
        mirror = verdict.route.mirror
        if mirror is None or head.upgrade or head.method.decode("ascii") not in mirror.methods:
            return None
        if self._splits.draw((verdict.route.name, MIRROR)) >= mirror.percent:
            return None
        lot = self._lots.get(verdict.route.name)
        if lot is None:
            lot = self._lots[verdict.route.name] = Lot(self, verdict.route.name)
        lot.verdict = verdict
        if head.length > mirror.max_body:
            lot.drop(Outcome.OVERFLOW)
            return None
        return Copy(lot, head, peer, identified, mirror.max_body)

    def choose(self, verdict: VersionChoice | None) -> Decision | None:
        """An endpoint of the canary that is well, by the load that copies make. A copy that has waited goes to none
        that the table of now does not name.
        """
        decisions = () if verdict is None else verdict.decisions()
        ready = [one for one in decisions if one.endpoint in self._named and not self.pool_of(one).ejected]
        return pick(ready, self.pool_of, self._splits.rng) if ready else None

    def pool_of(self, decision: Decision) -> Pool:
        """Connections to an endpoint, for copies alone."""
        endpoint = decision.endpoint
        if endpoint is None:
            raise RuntimeError("a copy for an endpoint that is not there")
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self.sockets, modest=True)
        return pool

    def publish(self, table: RoutingTable, endpoints: "Set[Endpoint]") -> None:
        """Follow a new table: what waits for a canary that is off or gone is dropped."""
        on = {route.name for route in table.routes if mirror_of(route) is not None}
        self._named = endpoints
        for name in self._lots.keys() - on:
            self._lots.pop(name).stop()
        for endpoint in self._pools.keys() - endpoints:
            self._pools.pop(endpoint).retire()

    def sweep(self, tick: float) -> None:
        """Serve the timeouts of copies and of their idle connections."""
        for lot in self._lots.values():
            lot.sweep(tick)
        for pool in self._pools.values():
            pool.sweep(tick)

    def spare(self, most: int) -> int:
        """Close up to `most` idle connections; how many there were."""
        return sum(pool.spare(most) for pool in self._pools.values())

    def close(self) -> None:
        """Send nothing more, and close the connections."""
        for lot in self._lots.values():
            lot.stop()
        for pool in self._pools.values():
            pool.close()
