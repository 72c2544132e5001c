"""Copies of requests for the canary, whose answers are dropped.

A copy shares nothing with the exchange it was made from: it has its own bytes, connections, pools, limits and
counters, and is sent when the exchange has had its turn on the loop. Whatever becomes of the canary, what waits for
it here is bounded, and what finds no room is dropped and counted.
"""

from collections import deque
from typing import TYPE_CHECKING

from canaryproxy.dataplane.mirror_copy import MirrorCopy
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.http.forwarding import ForwardedClient, HeadRewriter
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Outcome
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.routing.balancing import pick
from canaryproxy.routing.compiled_route import MIRROR, mirror_of
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.record.error_log import ErrorLog

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from canaryproxy.telemetry.record.recorder import Recorder

MAX_IN_FLIGHT = 64
"""Copies of one route that are at the canary at one time, for each worker."""

MAX_QUEUED = 256
"""Copies of one route that wait for their turn."""

MAX_QUEUED_BYTES = 4_194_304
"""Of all copies of one route that grow, wait or are under way, heads and bodies."""


class MirrorQueue:
    """The copies of one route: those under way, and those that wait."""

    def __init__(self, mirrors: "Mirrors", route: str) -> None:
        self._mirrors = mirrors
        self.errors, self.head_rewriter, self.now = mirrors.errors, mirrors.head_rewriter, mirrors.now
        self._route = route
        self._queue: deque[MirrorCopy] = deque()
        self._under_way: set[MirrorCopy] = set()
        self._bytes = 0
        self._woken = False
        self.choice: VersionChoice | None = None

    def __repr__(self) -> str:
        return f"<MirrorQueue of {self._route}: {len(self._under_way)} under way, {len(self._queue)} waiting>"

    def drop(self, outcome: Outcome) -> None:
        """There will be no such copy."""
        self._mirrors.recorder.mirror_dropped(self._route, outcome)

    def enqueue(self, copy: MirrorCopy) -> None:
        """Let it wait for its turn, if there is room."""
        if len(self._queue) >= MAX_QUEUED or not self.reserve(copy, copy.head_bytes):
            self.release(copy)
            self.drop(Outcome.OVERFLOW)
            return
        self._queue.append(copy)
        self._wake()

    def reserve(self, copy: MirrorCopy, size: int) -> bool:
        """Take room for so many bytes more of a copy; False when there is none, here or in the worker."""
        buffers = self._mirrors.sockets.buffers
        if self._bytes + size > MAX_QUEUED_BYTES or buffers.tight:
            return False
        buffers.add(size)
        self._bytes += size
        copy.weight += size
        return True

    def release(self, copy: MirrorCopy) -> None:
        """Give back the room that a copy took."""
        self._mirrors.sockets.buffers.drop(copy.weight)
        self._bytes -= copy.weight
        copy.weight = 0

    def _wake(self) -> None:
        """Send what may be sent, when those who are waited for have had their turn."""
        if not self._woken and self._queue and len(self._under_way) < MAX_IN_FLIGHT:
            self._woken = True
            self._mirrors.sockets.loop.call_soon(self._send)

    def _send(self) -> None:
        """One at a time: others take turns in between."""
        self._woken = False
        if not self._queue:
            return
        copy = self._queue.popleft()
        decision = self._mirrors.choose(self.choice)
        if decision is None:
            self.release(copy)
            self.drop(Outcome.UNAVAILABLE)
        else:
            self._under_way.add(copy)
            self._mirrors.recorder.mirror_sent(self._route)
            copy.start(decision, self._mirrors.pool_of(decision))
        self._wake()

    def finished(self, copy: MirrorCopy, outcome: Outcome) -> None:
        """It was answered, or never will be."""
        self._under_way.discard(copy)
        self.release(copy)
        self._mirrors.recorder.mirror_ended(self._route, outcome)
        self._wake()

    def sweep(self, tick: float) -> None:
        """End those whose time is over."""
        for copy in [one for one in self._under_way if one.deadline <= tick]:
            copy.expired()

    def stop(self) -> None:
        """Send no more: the route is gone, or its canary off."""
        self.choice = None
        while self._queue:
            self.release(self._queue.popleft())
            self.drop(Outcome.UNAVAILABLE)
        for copy in list(self._under_way):
            copy.give_up()


class Mirrors:
    """All copies of a worker, and the connections that are theirs alone."""

    def __init__(
        self,
        sockets: Sockets,
        splits: Splits,
        head_rewriter: HeadRewriter,
        recorder: "Recorder",
        errors: ErrorLog,
        clock: "Callable[[], float]",
    ) -> None:
        self.sockets = sockets
        self.head_rewriter = head_rewriter
        self.recorder = recorder
        self.errors = errors
        self.now = clock
        self._splits = splits
        self._queues: dict[str, MirrorQueue] = {}
        self._pools: dict[Endpoint, Pool] = {}
        self._named: Set[Endpoint] = frozenset()

    def __repr__(self) -> str:
        return f"<Mirrors {list(self._queues.values())}>"

    def copy(
        self, choice: VersionChoice, head: RequestHead, peer: ForwardedClient, identified: bytes
    ) -> MirrorCopy | None:
        """The beginning of a copy, if this request is drawn for one. `identified` is the line with its id."""
        mirror = choice.route.mirror
        if mirror is None or head.upgrade or head.method.decode("ascii") not in mirror.methods:
            return None
        if self._splits.draw((choice.route.name, MIRROR)) >= mirror.percent:
            return None
        queue = self._queues.get(choice.route.name)
        if queue is None:
            queue = self._queues[choice.route.name] = MirrorQueue(self, choice.route.name)
        queue.choice = choice
        if head.length > mirror.max_body:
            queue.drop(Outcome.OVERFLOW)
            return None
        return MirrorCopy(queue, head, peer, identified, mirror.max_body)

    def choose(self, choice: VersionChoice | None) -> Decision | None:
        """An endpoint of the canary that is well, by the load that copies make. A copy that has waited goes to none
        that the table of now does not name.
        """
        decisions = () if choice is None else choice.decisions()
        ready = [one for one in decisions if one.endpoint in self._named and not self.pool_of(one).ejected]
        return pick(ready, self.pool_of, self._splits.rng) if ready else None

    def pool_of(self, decision: Decision) -> Pool:
        """Connections to an endpoint, for copies alone."""
        endpoint = decision.endpoint
        if endpoint is None:
            raise RuntimeError("a copy for an endpoint that is not there")
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self.sockets, never_evicts=True)
        return pool

    def publish(self, table: RoutingTable, endpoints: "Set[Endpoint]") -> None:
        """Follow a new table: what waits for a canary that is off or gone is dropped."""
        on = {route.name for route in table.routes if mirror_of(route) is not None}
        self._named = endpoints
        for name in self._queues.keys() - on:
            self._queues.pop(name).stop()
        for endpoint in self._pools.keys() - endpoints:
            self._pools.pop(endpoint).retire()

    def sweep(self, tick: float) -> None:
        """Serve the timeouts of copies and of their idle connections."""
        for queue in self._queues.values():
            queue.sweep(tick)
        for pool in self._pools.values():
            pool.sweep(tick)

    def close_idle(self, most: int) -> int:
        """Close up to `most` idle connections; how many there were."""
        return sum(pool.close_idle(most) for pool in self._pools.values())

    def close(self) -> None:
        """Send nothing more, and close the connections."""
        for queue in self._queues.values():
            queue.stop()
        for pool in self._pools.values():
            pool.close()
