"""One try of a request at one endpoint: the pool, the stream, and the use of the version's `max_in_flight`."""

import asyncio
from collections import Counter

from canaryproxy.dataplane.failover import Sent
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.model.decision import Decision
from canaryproxy.routing.route_index import RouteIndex


class Attempt:
    """`target` is where the request is being tried; `pool` is that endpoint's, while in use; `stream` carries the
    request; `connecting` opens its connection; `number` counts attempts sent, from 1; `queued` is how many bytes the
    endpoint had not read when last checked; `limit_key` is the (route, version) in whose `max_in_flight` it is counted,
    None without a limit.
    """

    connecting: asyncio.Task[None] | None
    number: int
    limit_key: tuple[str, str] | None
    pool: Pool | None
    queued: int
    stream: UpstreamStream | None
    target: Decision

    def begin(self, target: Decision) -> None:
        """Initialize. Not `__init__`, which would take its arguments as Python objects in compiled code."""
        self.target = target
        self.number = self.queued = 0
        self.connecting = self.limit_key = self.pool = self.stream = None

    def __repr__(self) -> str:
        return f"<Attempt {self.number} at {self.target!r}>"

    def enter(self, target: Decision, in_flight: Counter[tuple[str, str]]) -> bool:
        """Count towards the limit of the target's version; returns False if the limit is reached."""
        self.leave(in_flight)
        limit = target.limit
        if limit is not None:
            key = (target.route.name, target.version.name)
            if in_flight[key] >= limit:
                return False
            in_flight[key] += 1
            self.limit_key = key
        return True

    def leave(self, in_flight: Counter[tuple[str, str]]) -> None:
        """Count no longer towards the version's limit."""
        if self.limit_key is not None:
            in_flight[self.limit_key] -= 1
            self.limit_key = None

    def lease(self, pool: Pool) -> UpstreamStream | None:
        """Use the pool's endpoint; returns an idle stream to it, or None."""
        self.pool = pool
        pool.in_flight += 1
        return pool.take_idle()

    def open(self, handler: ResponseHandler) -> None:
        """Open a connection, whose events `handler` receives."""
        if self.pool is None:
            raise RuntimeError("no pool to open a connection in")
        self.connecting = self.pool.open(handler)

    def sent(self) -> Sent:
        """How much was sent and received."""
        stream = self.stream
        if stream is None:
            return Sent.NOTHING
        if stream.answered:
            return Sent.ANSWERED
        return Sent.RACED if stream.reused else Sent.REQUEST

    def called_off(self, index: RouteIndex) -> bool:
        """Whether the canary was aborted or removed since the decision."""
        target = self.target
        entry = index.by_name.get(target.route.name)
        aborted = entry is not None and (entry.stable_only or (entry.route.aborted and not target.preview))
        return aborted and target.version.name == "canary"

    def progressed(self) -> bool:
        """Whether the endpoint has read some of the queued bytes since the last check."""
        before, self.queued = self.queued, 0 if self.stream is None else self.stream.queued()
        return self.queued != before

    def release(self, reusable: bool, paused: bool, expires: float) -> bool:
        """The response is complete: keep the stream for reuse until `expires`, if it is still good. Returns False if
        more bytes came than the response has.
        """
        stream, pool = self.stream, self.pool
        if stream is None or pool is None:
            raise RuntimeError("no stream or pool to release")
        self.stream = None
        stream.exchange = self.pool = None
        pool.in_flight -= 1
        if pool.ejection.failures:
            pool.ejection.succeeded()
        if reusable and stream.clean():
            if paused:
                stream.resume()
            pool.release(stream, expires)
            return True
        surplus = stream.surplus()
        stream.abort()
        return not surplus

    def drop(self) -> None:
        """End the attempt, in whatever state it is."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.abort()
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        if self.pool is not None:
            self.pool.in_flight -= 1
            self.pool = None
