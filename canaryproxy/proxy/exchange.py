"""The life of one request and its response, top to bottom.

begin (decide, lease) -> request_data/request_end -> response_head/response_data/response_end -> record.
Whatever goes wrong on the way ends in `_fail`, which answers the client if it can and cuts its connection
if it cannot; every exchange that was decided ends in `record`, once.

A response head is held back until the bytes it came with are parsed, so a body that is broken from its
first bytes still becomes a clean 502.
"""

import asyncio
import math
from typing import TYPE_CHECKING

from canaryproxy.http1.write import chunk_start, last_chunk
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.message import Body, RequestHead, ResponseHead
from canaryproxy.model.outcome import Outcome
from canaryproxy.proxy.retry import IDEMPOTENT, REPLAY_LIMIT, may_retry
from canaryproxy.proxy.upstream import HIGH_WATER, Upstream
from canaryproxy.routing.decide import decide
from canaryproxy.telemetry.record import Cell

if TYPE_CHECKING:
    from canaryproxy.proxy.downstream import Downstream

NEVER = math.inf
NO_BODY = Body.NONE
SUCCESS, ERROR_5XX = Outcome.SUCCESS, Outcome.ERROR_5XX
JOIN_LIMIT = 16_384
"""Responses up to this size leave in one buffer; larger pieces are not copied to be joined."""


class Exchange:
    """One decided request of a client connection. `deadline` is when the upstream side gives up on it."""

    __slots__ = (
        "_abandoned", "_attempts", "_cell", "_chunk_in", "_chunk_out", "_close", "_connecting", "_decision",
        "_excluded", "_flushed", "_head", "_out", "_paused_at", "_plane", "_pool", "_queued", "_replay", "_replay_size",
        "_request", "_response", "_started", "_tried", "_unsent", "_unsent_size", "_upstream", "deadline",
        "down", "request_complete",
    )  # fmt: skip

    def __init__(self, down: "Downstream", head: RequestHead) -> None:
        self.down = down
        self.deadline = NEVER
        self.request_complete = head.body is NO_BODY or head.length == 0
        self._plane = down.plane
        self._head = head
        self._chunk_in = head.body is Body.CHUNKED
        self._chunk_out = False
        self._close = False
        self._abandoned = False
        self._flushed = False
        self._response: ResponseHead | None = None
        self._out: list[bytes] = []
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._replay: list[bytes] | None = None
        self._replay_size = 0
        self._attempts = 0
        self._excluded = 0.0
        self._paused_at = 0.0
        self._queued = 0

    def __repr__(self) -> str:
        return f"<Exchange {self._head!r} attempt {self._attempts} response {self._response!r}>"

    @property
    def cell(self) -> Cell:
        """Where this exchange is counted."""
        return self._cell

    # Decide and lease.

    def begin(self) -> None:
        """Choose version and endpoint, and send the head or open a connection for it.

        Raises `Refused` where there is no route or the request has come in a circle; nothing is counted
        for a version then.
        """
        plane, head = self._plane, self._head
        decision = decide(plane.index, head, plane.splits)
        pool = self._pool = plane.lent.get(decision) or plane.lend(decision)
        name = decision.version.name.encode("ascii") if decision.route.add_version else None
        self._request = plane.hops.request(head, self.down.peer, pool.authority, name)
        self._decision = decision
        now = self._started = self._tried = plane.now()
        self._cell = plane.recorder.start(decision, now)
        upstream = pool.take()
        if upstream is None:
            self._open()
        else:
            self._send(upstream)

    def _open(self) -> None:
        self._connecting = self._pool.open(self)
        self.deadline = self._plane.tick + self._decision.version.connect_timeout + self._plane.slack

    def connected(self, upstream: Upstream) -> None:
        """A connection was opened for us."""
        opening = self._plane.now() - self._tried
        self._excluded += opening
        self._cell.connected(opening)
        self._connecting = None
        self._send(upstream)
        if not upstream.blocked:
            self.down.unblock()

    def connect_failed(self, failure: Failure) -> None:
        """No connection could be opened; nothing was sent."""
        self._connecting = None
        self._fail(failure)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._attempts += 1
        method = self._head.method
        upstream.exchange = self
        upstream.answered = False
        upstream.reader.expect(method)
        unsent = self._unsent
        if unsent:
            upstream.transport.write(b"".join((self._request, *unsent)))
            self._unsent = []
        else:
            upstream.transport.write(self._request)
        if upstream.reused and method in IDEMPOTENT:
            self._replay = unsent
            self._replay_size = self._unsent_size
        if self.request_complete:
            plane = self._plane
            self.deadline = plane.tick + self._decision.version.response_timeout + plane.slack
        if self.down.paused:
            self.response_paused()

    def _patience(self) -> float:
        return self._plane.tick + self._decision.version.response_timeout + self._plane.slack

    # The request's body.

    def request_data(self, data: bytes) -> None:
        """Payload from the client, framed anew and passed on."""
        if self._abandoned:
            return
        if self._chunk_in:
            data = b"%b%b\r\n" % (chunk_start(len(data)), data)
        self._pass_on(data)

    def request_end(self, trailers: tuple[bytes, ...]) -> None:
        """The client's message is complete."""
        self.request_complete = True
        if self._abandoned:
            return
        if self._chunk_in:
            self._pass_on(last_chunk(trailers))
        if self._upstream is not None and not self._paused_at:
            self.deadline = self._patience()

    def _pass_on(self, data: bytes) -> None:
        upstream = self._upstream
        if upstream is None:
            self._unsent.append(data)
            self._unsent_size += len(data)
            if self._unsent_size >= HIGH_WATER:
                self.down.block()
            return
        if self._replay is not None:
            self._replay_size += len(data)
            if self._replay_size > REPLAY_LIMIT:
                self._replay = None
            else:
                self._replay.append(data)
        upstream.transport.write(data)

    def request_blocked(self) -> None:
        """The endpoint does not keep up: stop reading from the client, and do not wait for ever."""
        if not self._abandoned and self._upstream is not None:
            self.down.block()
            self._queued = self._upstream.transport.get_write_buffer_size()
            self.deadline = self._patience()

    def request_unblocked(self) -> None:
        """The endpoint took what was queued."""
        self.down.unblock()
        if not self.request_complete:
            self.deadline = NEVER

    # The response.

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head from the upstream; True when the exchange is complete with it.

        Raises `Refused` for a 101 that nobody asked for.
        """
        if head.status < 200:
            self._interim(head)
            return False
        self._out.append(self._rewritten(head))
        if head.body is NO_BODY or head.length == 0:
            self.response_end(())
            return True
        return False

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with all of its body: what nearly every response is."""
        data = self._rewritten(head)
        if len(body) <= JOIN_LIMIT:
            self._out.append(data + body)
        else:
            self._out += (data, body)
        self.response_end(())

    def _rewritten(self, head: ResponseHead) -> bytes:
        """The final head for the client; settles how the body is framed and what becomes of the connections."""
        request, plane, decision = self._head, self._plane, self._decision
        self._response = head
        lengthless = head.length < 0 and head.body is not NO_BODY
        if request.close or plane.draining or lengthless or not self.request_complete:
            self._chunk_out = lengthless and request.minor == 1
            self._close = (
                request.close or plane.draining or not self.request_complete or (lengthless and not request.minor)
            )
        if not self.request_complete and (head.close or head.status >= 300):
            self._abandoned = True
            self.down.unblock()
        version = decision.version.name.encode("ascii") if decision.route.add_version else None
        return plane.hops.response(head, request, version, close=self._close)

    def _interim(self, head: ResponseHead) -> None:
        if head.status == 101:
            raise Refused(Failure.RESPONSE_INVALID, "101 without an upgrade")
        if self.request_complete and not self._paused_at:
            self.deadline = self._patience()
        if self._head.minor:
            self.down.transport.write(self._plane.hops.response(head, self._head, None, close=False))

    def response_data(self, data: bytes) -> None:
        """Payload from the upstream, framed for the client; `flush` sends it."""
        if self._chunk_out:
            self._out += (chunk_start(len(data)), data, b"\r\n")
        else:
            self._out.append(data)

    def flush(self) -> None:
        """Send what the last bytes from the upstream amounted to."""
        if self.request_complete and not self._paused_at:
            self.deadline = self._patience()
        if self._out:
            self._write_out()

    def _write_out(self) -> None:
        out, self._out = self._out, []
        self._flushed = True
        transport = self.down.transport
        if len(out) == 1:
            transport.write(out[0])
        elif len(out[1]) <= JOIN_LIMIT:
            transport.write(b"".join(out))
        else:
            transport.writelines(out)

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The response is complete: free the connection, send the rest, count."""
        head = self._response
        if head is None or self._upstream is None:
            raise RuntimeError("a response ended that had not begun")
        upstream, self._upstream = self._upstream, None
        upstream.exchange = None
        if head.close or self._abandoned or not self.request_complete or not upstream.clean():
            upstream.abort()
        else:
            if self._paused_at:
                upstream.transport.resume_reading()
            self._pool.give_back(upstream, self._plane.tick + self._decision.version.keep_alive)
        if self._chunk_out:
            self._out.append(last_chunk(trailers))
        if self._out:
            self._write_out()
        self._record(ERROR_5XX if head.status >= 500 else SUCCESS, head.status, judged=True)
        self.down.finished(close=self._close)

    def response_paused(self) -> None:
        """The client does not keep up: stop reading from the upstream, stop its clock."""
        if self._upstream is not None and not self._paused_at:
            self._paused_at = self._plane.now()
            self._upstream.transport.pause_reading()
            self.deadline = NEVER

    def response_resumed(self) -> None:
        """The client took what was queued."""
        if self._upstream is not None and self._paused_at:
            self._excluded += self._plane.now() - self._paused_at
            self._paused_at = 0.0
            self._upstream.transport.resume_reading()
            if self.request_complete:
                self.deadline = self._patience()

    # What can go wrong.

    def upstream_failed(self, failure: Failure) -> None:
        """The connection or what came over it is unusable; repeat the attempt if that is safe."""
        upstream = self._upstream
        closed = failure in (Failure.UPSTREAM_RESET, Failure.RESPONSE_CUT)
        if (
            upstream is not None
            and closed
            and may_retry(replay_kept=self._replay is not None, answered=upstream.answered, attempts=self._attempts)
        ):
            self._retry()
        else:
            self._fail(failure)

    def _retry(self) -> None:
        self._drop_upstream()
        self._cell.repeat(Outcome.RESET)
        self._unsent, self._replay = self._replay or [], None
        self._unsent_size = self._replay_size
        self._paused_at = 0.0
        self._excluded = 0.0
        self._tried = self._plane.now()
        self.down.unblock()
        self._open()

    def expired(self) -> None:
        """The deadline passed. An endpoint that slowly takes what is queued for it gets more time."""
        upstream = self._upstream
        if upstream is not None and upstream.blocked:
            before, self._queued = self._queued, upstream.transport.get_write_buffer_size()
            if self._queued != before:
                self.deadline = self._patience()
                return
        self._fail(Failure.CONNECT_TIMEOUT if self._connecting is not None else Failure.RESPONSE_TIMEOUT)

    def downstream_failed(self, failure: Failure) -> None:
        """The client broke the rest of its message: its fault, so not counted against the version."""
        self._drop_upstream()
        self._record(Outcome.CLIENT_ABORT, self._code(failure))
        self._answer(failure, close=True)

    def client_gone(self) -> None:
        """Nobody is waiting any more: cancel the upstream at once."""
        self._drop_upstream()
        self._record(Outcome.CLIENT_ABORT, self._code(Failure.CLIENT_GONE))

    def _fail(self, failure: Failure) -> None:
        self._drop_upstream()
        self._record(failure.outcome or Outcome.PROTOCOL, self._code(failure))
        close = self._head.close or not self.request_complete or self._plane.draining
        self._answer(failure, close=close)

    def _code(self, failure: Failure) -> int:
        """The status the client got: the upstream's if its head was sent, else our own."""
        return self._response.status if self._flushed and self._response is not None else failure.status

    def _answer(self, failure: Failure, *, close: bool) -> None:
        if self._flushed:
            if self._out:
                self._write_out()
            self.down.cut(hard=not self._chunk_out and self._response is not None and self._response.length < 0)
        else:
            self._plane.answer(self.down.transport, failure, self._head, close=close)
            self.down.finished(close=close)

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    def _record(self, outcome: Outcome, code: int, *, judged: bool = False) -> None:
        now = self._plane.now()
        latency = now - self._tried - self._excluded if judged else None
        self._cell.finish(outcome, code, now - self._started, latency)
