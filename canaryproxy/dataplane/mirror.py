"""Copies of requests for the canary, whose answers are dropped.

A copy shares nothing with the exchange it was made from: it has its own bytes, connections, pools, limits and
counters, and is sent when the exchange has had its turn on the loop. Whatever becomes of the canary, what waits for
it here is bounded, and what finds no room is dropped and counted.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Set

from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.http.forwarding import ForwardedClient, HeadRewriter, request_id_of
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.routing.balancing import pick
from canaryproxy.routing.compiled_route import MIRROR, mirror_of
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.record.error_log import ErrorLog
from canaryproxy.telemetry.record.recorder import Recorder

MAX_IN_FLIGHT = 64
"""Copies of one route that are at the canary at one time, for each worker."""

MAX_QUEUED = 256
"""Copies of one route that wait for their turn."""

MAX_QUEUED_BYTES = 4_194_304
"""Of all copies of one route that grow, wait or are under way, heads and bodies."""

SAFE_TO_DROP = 65_536
"""Bytes of an answer's body that are read and dropped, so that the connection can be used again. A longer answer ends
with its connection."""

BROKEN = (Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT)
"""What an endpoint gets no copies for, for a while, if it goes on: there is nothing to be learnt from it."""

MARK = b"X-Canary-Mirror: true\r\n"
"""Tells the canary that the answer is not waited for."""


class MirrorCopy(ResponseHandler):
    """One copy: of the request `head` by `peer`, body and all."""

    __slots__ = (
        "_body",
        "_connecting",
        "_decision",
        "_head",
        "_limit",
        "_peer",
        "_pool",
        "_queue",
        "_read",
        "_request_id_line",
        "_status",
        "_times",
        "_upstream",
        "deadline",
        "weight",
    )

    def __init__(
        self, queue: "MirrorQueue", head: RequestHead, peer: ForwardedClient, id_line: bytes, limit: int
    ) -> None:
        self._queue = queue
        self._head = head
        self._peer = peer
        self._request_id_line = id_line
        self._limit = limit
        self._body = bytearray()
        self._decision: Decision | None = None
        self._pool: Pool | None = None
        self._upstream: UpstreamStream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._read = self._status = 0
        self._times = math.inf, math.inf
        self.weight = 0
        self.deadline = math.inf

    def __repr__(self) -> str:
        return f"<MirrorCopy of {self._head!r}, {len(self._body)} bytes>"

    # Made by an exchange.

    def take(self, data: bytes) -> bool:
        """Add a piece of the body; False when it has grown too long, or there is no room, and there will be no copy."""
        self._body += data
        if len(self._body) <= self._limit and self._queue.reserve(self, len(data)):
            return True
        self.forget()
        self._queue.drop(Outcome.OVERFLOW)
        return False

    def send(self) -> None:
        """The request is complete: wait for a turn."""
        self._queue.enqueue(self)

    def forget(self) -> None:
        """The request did not become complete: there is nothing to copy."""
        self._queue.release(self)

    @property
    def head_bytes(self) -> int:
        """About what its head takes."""
        return len(self._head.plain)

    # Sent to the canary.

    def start(self, decision: Decision, pool: Pool) -> None:
        """Lend a connection, or open one."""
        self._decision, self._pool = decision, pool
        self._times = decision.connect_timeout, decision.response_timeout
        pool.in_flight += 1
        upstream = pool.take_idle()
        if upstream is None:
            self._open(pool)
        else:
            self._write(upstream)

    def _open(self, pool: Pool) -> None:
        self._connecting = pool.open(self)
        self.deadline = self._queue.now() + self._times[0]

    def connected(self, upstream: UpstreamStream) -> None:
        """A connection was opened."""
        self._connecting = None
        self._write(upstream)

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """None could be opened."""
        self._connecting = None
        self._fail(failure, why)

    def _write(self, upstream: UpstreamStream) -> None:
        self._upstream = upstream
        self.deadline = self._queue.now() + self._times[1]
        head, lines = self._request()
        upstream.ask(self, head, lines, [bytes(self._body)], ())

    def _request(self) -> tuple[RequestHead, tuple[bytes, bytes, bytes, bytes]]:
        """The head as the main request has it, and the mark. The body has come whole, so its length is known."""
        old, decision, pool = self._head, self._decision, self._pool
        if decision is None or pool is None:
            raise RuntimeError("a copy is sent to nowhere")
        head = RequestHead(old.method, old.target, old.version)
        head.host, head.plain = old.host, old.plain
        head.special = [field for field in old.special if field[0] not in (b"expect", b"x-canary-mirror")]
        if old.body is not Body.NONE:
            head.body, head.length = Body.LENGTH, len(self._body)
        host, plain, ours, last = self._queue.head_rewriter.request(
            head, self._peer, pool.authority, decision.version_header, b"", self._request_id_line
        )
        return head, (host, plain, ours, last + MARK)

    def response_whole(self, head: ResponseHead, _: bytes) -> None:
        """The whole answer."""
        self._status = head.status
        self._answered(head, reuse=True)

    def response_head(self, head: ResponseHead) -> bool:
        """The beginning of an answer, of which only the status counts."""
        if head.status < 200:
            return head.status == 101 and self._answered(head, reuse=False)
        self._status = head.status
        if head.body is Body.NONE or head.length == 0:
            return self._answered(head, reuse=True)
        return (head.close or head.length > SAFE_TO_DROP) and self._answered(head, reuse=False)

    def response_data(self, data: bytes) -> None:
        """Dropped."""
        self._read += len(data)

    def flush(self) -> None:
        """Give up on an answer that goes on and on."""
        if self._read > SAFE_TO_DROP:
            self.finish(self._outcome())

    def response_end(self, _: tuple[bytes, ...]) -> None:
        """The answer is over."""
        self._answered(None, reuse=True)

    def _answered(self, head: ResponseHead | None, *, reuse: bool) -> bool:
        upstream, pool, decision = self._upstream, self._pool, self._decision
        if upstream is None or pool is None or decision is None:
            raise RuntimeError("an answer to a copy that was not sent")
        if reuse and upstream.clean() and not (head is not None and head.close):
            self._upstream = upstream.exchange = None
            pool.release(upstream, self._queue.now() + decision.version.keep_alive)
        pool.ejection.succeeded()
        self.finish(self._outcome())
        return True

    def _outcome(self) -> Outcome:
        if not self._status:
            return Outcome.PROTOCOL
        return Outcome.ERROR_5XX if self._status >= 500 else Outcome.SUCCESS

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The connection broke; one that was idle before may have been closed just then."""
        upstream, pool = self._upstream, self._pool
        if upstream is not None and pool is not None and upstream.reused and not upstream.answered:
            upstream.abort()
            self._upstream = None
            self._open(pool)
        else:
            self._fail(failure, why)

    def request_blocked(self) -> None:
        """Its bytes are bounded, and may wait."""

    def request_unblocked(self) -> None:
        """They have left."""

    def expired(self) -> None:
        """It has had its time."""
        opening = self._connecting is not None
        self._fail(Failure.CONNECT_TIMEOUT if opening else Failure.RESPONSE_TIMEOUT, "it took too long")

    def _fail(self, failure: Failure, why: str) -> None:
        if self._decision is not None and failure is not Failure.OVERLOADED:
            self._queue.errors.note(failure, self._decision, request_id_of(self._request_id_line), why, mirror=True)
        self.finish(failure.outcome or Outcome.PROTOCOL)

    def finish(self, outcome: Outcome) -> None:
        """Close the connection and report `outcome`."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._pool is not None:
            self._pool.in_flight -= 1
            if outcome in BROKEN:
                self._pool.ejection.failed(self._queue.now(), last=False)
            self._pool = None
        self._queue.finished(self, outcome)


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
            copy.finish(Outcome.UNAVAILABLE)


class Mirrors:
    """All copies of a worker, and the connections that are theirs alone."""

    def __init__(
        self,
        sockets: Sockets,
        splits: Splits,
        head_rewriter: HeadRewriter,
        recorder: Recorder,
        errors: ErrorLog,
        clock: Callable[[], float],
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
        self, choice: VersionChoice, head: RequestHead, peer: ForwardedClient, id_line: bytes
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
        return MirrorCopy(queue, head, peer, id_line, mirror.max_body)

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

    def publish(self, table: RoutingTable, endpoints: Set[Endpoint]) -> None:
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
