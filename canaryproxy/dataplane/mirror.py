"""Copies of requests for the canary, whose responses are discarded.

A copy shares nothing with its exchange: it has its own bytes, connections, pools, limits and counters, and is sent
after the exchange has had its turn on the loop. The queues are bounded whatever the canary does; a copy that finds no
room is dropped and counted.
"""

import math
from collections import deque
from collections.abc import Callable, Set

from canaryproxy.dataplane.attempt import Attempt
from canaryproxy.dataplane.failover import Sent
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.http.forwarding import ForwardedClient, HeadRewriter, request_id_of
from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Failure, Outcome
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.routing.balancing import pick
from canaryproxy.routing.compiled_route import MIRROR, mirror_of
from canaryproxy.routing.split import Splits
from canaryproxy.telemetry.record.error_log import ErrorLog
from canaryproxy.telemetry.record.recorder import Recorder

# Copies of one route under way at one time, per worker.
MAX_IN_FLIGHT = 64

# Copies of one route that wait for their turn.
MAX_QUEUED = 256

# Bytes of all copies of one route, heads and bodies.
MAX_QUEUED_BYTES = 4_194_304

# Bytes of a response body that are read and discarded, so that the connection can be reused. A longer response ends
# with its connection.
SAFE_TO_DROP = 65_536

# Outcomes after which an endpoint gets no copies for a while if they repeat: nothing can be learnt from it.
BROKEN = (Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT)

# Tells the canary that the request is a copy.
MARK = b"X-Canary-Mirror: true\r\n"


class MirrorCopy(ResponseHandler):
    """A copy of the request `head` by `peer`, with its body: sent on a connection of the mirror's own."""

    def __init__(
        self, queue: "MirrorQueue", head: RequestHead, peer: ForwardedClient, id_line: bytes, limit: int
    ) -> None:
        self._queue = queue
        self._head = head
        self._peer = peer
        self._request_id_line = id_line
        self._limit = limit
        self._body = bytearray()
        self._attempt = Attempt()
        self._read = self._status = 0
        self.weight = 0
        self.deadline = math.inf

    def __repr__(self) -> str:
        return f"<MirrorCopy of {self._head!r}, {len(self._body)} bytes>"

    # Called by the exchange.

    def take(self, data: bytes) -> bool:
        """Add a piece of the body. Returns False if there is no room for it, and so no copy."""
        self._body += data
        if len(self._body) <= self._limit and self._queue.reserve(self, len(data)):
            return True
        self.forget()
        self._queue.drop(Outcome.OVERFLOW)
        return False

    def send(self) -> None:
        """The request is complete: queue the copy."""
        self._queue.enqueue(self, len(self._head.plain))

    def forget(self) -> None:
        """The request did not become complete: there is nothing to copy."""
        self._queue.release(self)

    # Sent to the canary.

    def start(self, decision: Decision, pool: Pool) -> None:
        """Use an idle connection, or open one."""
        self._attempt.begin(decision)
        upstream = self._attempt.lease(pool)
        if upstream is None:
            self._open()
        else:
            self._write(upstream)

    def _open(self) -> None:
        self._attempt.open(self)
        self.deadline = self._queue.now() + self._attempt.target.connect_timeout

    def connected(self, upstream: UpstreamStream) -> None:
        """The connection was opened."""
        self._attempt.connecting = None
        self._write(upstream)

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """The connection could not be opened."""
        self._attempt.connecting = None
        self._fail(failure, why)

    def _write(self, upstream: UpstreamStream) -> None:
        attempt = self._attempt
        attempt.stream = upstream
        self.deadline = self._queue.now() + attempt.target.response_timeout
        head, lines = self._request(attempt.target)
        upstream.ask(self, head, lines, [bytes(self._body)], ())

    def _request(self, decision: Decision) -> tuple[RequestHead, tuple[bytes, bytes, bytes, bytes]]:
        """The head of the main request, with the mark. The body is complete, so its length is known."""
        old, endpoint = self._head, decision.endpoint
        authority = b"" if endpoint is None else endpoint.site.encode("ascii")
        head = RequestHead(old.method, old.target, old.version)
        head.host, head.plain = old.host, old.plain
        head.special = [field for field in old.special if field[0] not in (b"expect", b"x-canary-mirror")]
        if old.body is not Body.NONE:
            head.body, head.length = Body.LENGTH, len(self._body)
        host, plain, ours, last = self._queue.head_rewriter.request(
            head, self._peer, authority, decision.version_header, b"", self._request_id_line
        )
        return head, (host, plain, ours, last + MARK)

    def response_whole(self, head: ResponseHead, _: bytes) -> None:
        """The whole response."""
        self._status = head.status
        self._answered(head, reuse=True)

    def response_head(self, head: ResponseHead) -> bool:
        """The head of a response, of which only the status counts."""
        if head.status < 200:
            return head.status == 101 and self._answered(head, reuse=False)
        self._status = head.status
        if head.body is Body.NONE or head.length == 0:
            return self._answered(head, reuse=True)
        return (head.close or head.length > SAFE_TO_DROP) and self._answered(head, reuse=False)

    def response_data(self, data: bytes) -> None:
        """Discarded."""
        self._read += len(data)

    def flush(self) -> None:
        """Give up on an endless response."""
        if self._read > SAFE_TO_DROP:
            self.finish(self._outcome())

    def response_end(self, _: tuple[bytes, ...]) -> None:
        """The response is complete."""
        self._answered(None, reuse=True)

    def _answered(self, head: ResponseHead | None, *, reuse: bool) -> bool:
        attempt = self._attempt
        expires = self._queue.now() + attempt.target.keep_alive
        attempt.release(reuse and not (head is not None and head.close), False, expires)
        self.finish(self._outcome())
        return True

    def _outcome(self) -> Outcome:
        if not self._status:
            return Outcome.PROTOCOL
        return Outcome.ERROR_5XX if self._status >= 500 else Outcome.SUCCESS

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The connection broke. A reused one may have been closed by the endpoint just then, so another is opened."""
        attempt = self._attempt
        if attempt.stream is not None and attempt.sent() is Sent.RACED:
            attempt.stream.abort()
            attempt.stream = None
            self._open()
        else:
            self._fail(failure, why)

    def request_blocked(self) -> None:
        """Nothing to do: the bytes of a copy are bounded."""

    def request_unblocked(self) -> None:
        """Nothing to do."""

    def expired(self) -> None:
        """The deadline passed."""
        opening = self._attempt.connecting is not None
        self._fail(Failure.CONNECT_TIMEOUT if opening else Failure.RESPONSE_TIMEOUT, "the copy timed out")

    def _fail(self, failure: Failure, why: str) -> None:
        if failure is not Failure.OVERLOADED:
            request_id = request_id_of(self._request_id_line)
            self._queue.errors.note(failure, self._attempt.target, request_id, why, mirror=True)
        self.finish(failure.outcome or Outcome.PROTOCOL)

    def finish(self, outcome: Outcome) -> None:
        """Close the connection and report `outcome`."""
        pool = self._attempt.pool
        if pool is not None and outcome in BROKEN:
            pool.ejection.failed(self._queue.now(), last=False)
        self._attempt.drop()
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
        """Count a copy that will not be sent."""
        self._mirrors.recorder.mirror_dropped(self._route, outcome)

    def enqueue(self, copy: MirrorCopy, head_bytes: int) -> None:
        """Queue a copy if there is room for its head, too."""
        if len(self._queue) >= MAX_QUEUED or not self.reserve(copy, head_bytes):
            self.release(copy)
            self.drop(Outcome.OVERFLOW)
            return
        self._queue.append(copy)
        self._wake()

    def reserve(self, copy: MirrorCopy, size: int) -> bool:
        """Reserve room for `size` more bytes of a copy; returns False if there is none, here or in the worker."""
        buffers = self._mirrors.sockets.buffers
        if self._bytes + size > MAX_QUEUED_BYTES or buffers.tight:
            return False
        buffers.add(size)
        self._bytes += size
        copy.weight += size
        return True

    def release(self, copy: MirrorCopy) -> None:
        """Release the room of a copy."""
        self._mirrors.sockets.buffers.drop(copy.weight)
        self._bytes -= copy.weight
        copy.weight = 0

    def _wake(self) -> None:
        """Send copies in the next turn of the loop, after requests that clients wait for."""
        if not self._woken and self._queue and len(self._under_way) < MAX_IN_FLIGHT:
            self._woken = True
            self._mirrors.sockets.loop.call_soon(self._send)

    def _send(self) -> None:
        """Send one copy at a time: requests are served in between."""
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
        """A copy was answered, or has failed."""
        self._under_way.discard(copy)
        self.release(copy)
        self._mirrors.recorder.mirror_ended(self._route, outcome)
        self._wake()

    def sweep(self, tick: float) -> None:
        """End copies whose deadline has passed."""
        for copy in [one for one in self._under_way if one.deadline <= tick]:
            copy.expired()

    def stop(self) -> None:
        """Send no more: the route or its canary is gone."""
        self.choice = None
        while self._queue:
            self.release(self._queue.popleft())
            self.drop(Outcome.UNAVAILABLE)
        for copy in list(self._under_way):
            copy.finish(Outcome.UNAVAILABLE)


class Mirrors:
    """All copies of a worker, and their connections."""

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
        """A copy, if this request is drawn for one. `id_line` is the header line with the request id."""
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
        """A canary endpoint that is not ejected, by the load of copies. A copy that has waited is never sent to an
        endpoint that the current table does not name.
        """
        decisions = () if choice is None else choice.decisions()
        ready = [one for one in decisions if one.endpoint in self._named and not self.pool_of(one).ejected]
        return pick(ready, self.pool_of, self._splits.rng) if ready else None

    def pool_of(self, decision: Decision) -> Pool:
        """The connections to an endpoint for copies."""
        endpoint = decision.endpoint
        if endpoint is None:
            raise RuntimeError("a copy without an endpoint")
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self.sockets, never_evicts=True)
        return pool

    def publish(self, table: RoutingTable, endpoints: Set[Endpoint]) -> None:
        """Apply a new table: drop copies for a canary that is off or gone."""
        on = {route.name for route in table.routes if mirror_of(route) is not None}
        self._named = endpoints
        for name in self._queues.keys() - on:
            self._queues.pop(name).stop()
        for endpoint in self._pools.keys() - endpoints:
            self._pools.pop(endpoint).retire()

    def sweep(self, tick: float) -> None:
        """Serve the timeouts of copies and of idle connections."""
        for queue in self._queues.values():
            queue.sweep(tick)
        for pool in self._pools.values():
            pool.sweep(tick)

    def close_idle(self, most: int) -> int:
        """Close up to `most` idle connections of each endpoint; returns how many there were."""
        return sum(pool.close_idle(most) for pool in self._pools.values())

    def close(self) -> None:
        """Send no more copies, and close the connections."""
        for queue in self._queues.values():
            queue.stop()
        for pool in self._pools.values():
            pool.close()
