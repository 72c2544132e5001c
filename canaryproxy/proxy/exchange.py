"""The life of one request and its response, top to bottom.

begin (decide, lease) -> request_data/request_end -> response_head/response_data/response_end -> record.
Whatever goes wrong on the way ends in `_fail`, which answers the client if it can and cuts its connection
if it cannot; every exchange that was decided ends in `record`, once.

A response head is held back until the bytes it came with are parsed, so a body that is broken from its
first bytes still becomes a clean 502.
"""

from canaryproxy.http1 import upgrade
from canaryproxy.http1.hops import request_id_of
from canaryproxy.http1.write import chunk_start, last_chunk
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.message import Body, RequestHead, ResponseHead
from canaryproxy.model.outcome import Outcome
from canaryproxy.proxy.attempts import NEVER, NO_BODY
from canaryproxy.proxy.caller import Caller
from canaryproxy.proxy.exchange_state import (
    ABANDONED, ANSWERED, ANSWERED_EXPECTING, ANSWERING, COMPLETED, DISCARDED, EXPECTING, FINAL, FORGOTTEN, INTERIM,
    OVER, SENDING, TUNNEL, WAITING, State,
)  # fmt: skip
from canaryproxy.proxy.failover import WITHDRAWN
from canaryproxy.proxy.pacing import Pacing, expects
from canaryproxy.proxy.tunnel import Tunnel
from canaryproxy.telemetry.accesslog import Entry, sender

CHUNKED = Body.CHUNKED
SUCCESS, ERROR_5XX = Outcome.SUCCESS, Outcome.ERROR_5XX
JOIN_LIMIT = 16_384
"""Responses up to this size leave in one buffer; larger pieces are not copied to be joined."""

CONTINUE, SWITCHING, OK = 100, 101, 200


class Exchange(Pacing):
    """One decided request of a client connection and its response."""

    __slots__ = (
        "_chunk_in", "_chunk_out", "_close", "_out", "_received", "_response", "_sent",
    )  # fmt: skip

    def prepare(self, down: Caller, head: RequestHead) -> None:
        """In place of `__init__`, so that compiled code needs no arguments as Python objects."""
        self.down, self._plane, self._head = down, down.plane, head
        if head.body is NO_BODY or head.length == 0:
            self.state = WAITING
        else:
            self.state = EXPECTING if expects(head) else SENDING
        self._chunk_in = head.body is CHUNKED
        self.deadline = NEVER
        self._chunk_out = self._close = self._kept = False
        self._attempts = self._delivered = self._queued = self._received = self._replay_size = self._sent = 0
        self._user = self._unsent_size = self._weight = 0
        self._excluded = self._opening = self._paused_at = 0.0
        self._upgrade = b""
        self._connecting = self._copy = self._course = self._facts = self._held = self._key = self._patience = None
        self._pool = self._replay = self._unsent = self._upstream = None
        self._response: ResponseHead | None = None
        self._out: list[bytes] | None = None

    @property
    def waits(self) -> bool:
        """Whether all was said and the version has not answered. What we took back from it is not waited for."""
        withdrawn = self._course is not None and self._course.takeover == WITHDRAWN
        return self.state == WAITING and not withdrawn

    @property
    def sent(self) -> int:
        """Bytes of the response's body that were handed to the client's connection."""
        return self._sent

    @property
    def received(self) -> int:
        """Bytes of the request's body."""
        return self._received

    def __repr__(self) -> str:
        return f"<Exchange {self._head!r} {State(self.state).name} attempt {self._attempts} {self._response!r}>"

    # The request's body.

    def request_data(self, data: bytes) -> None:
        """Payload from the client, framed anew and passed on."""
        if self.state == ABANDONED:
            return
        if self.state == EXPECTING or self.state == ANSWERED_EXPECTING:
            self._begun()
        self._received += len(data)
        if self._copy is not None and not self._copy.take(data):
            self._copy = None
        if self._chunk_in:
            data = b"%b%b\r\n" % (chunk_start(len(data)), data)
        self._pass_on(data)

    def request_end(self, trailers: tuple[bytes, ...]) -> None:
        """The client's message is complete."""
        self._move(COMPLETED[self.state])
        if self.state == DISCARDED:
            return
        self._send_copy()
        if self._chunk_in:
            self._pass_on(last_chunk(trailers))
        self._wait()
        if self._decision.shield is not None and self.state == WAITING:
            self._renew_patience()

    # The response.

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head from the upstream; True when the exchange is complete with it.

        Raises `Refused` for a 101 that nobody asked for.
        """
        if head.status == SWITCHING:
            self._switch(head)
            return True
        if head.status < 200:
            self._interim(head)
            return False
        if head.status >= 500 and self._shielded_error(head, head.body is NO_BODY or head.length == 0):
            return True
        self._out = [self._rewritten(head)]
        if head.body is NO_BODY or head.length == 0:
            self.response_end(())
            return True
        return False

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with all of its body: what nearly every response is."""
        if head.status >= 500 and self._shielded_error(head, True):
            return
        self._sent = len(body)
        joins = self._sent <= JOIN_LIMIT
        data = self._rewritten(head, body if joins else b"")
        self._release(head)
        self._delivered = FINAL
        if joins:
            self.down.send(data)
        else:
            self.down.transport.writelines((data, body))
        self._complete(head)

    def _rewritten(self, head: ResponseHead, body: bytes = b"") -> bytes:
        """The final head for the client, with `body` behind it; settles how the body is framed and what becomes of the
        connections.
        """
        request, plane = self._head, self._plane
        self._response = head
        if self._patience is not None:
            self._end_patience()
        lengthless = head.length < 0 and head.body is not NO_BODY
        self._chunk_out = lengthless and request.minor == 1
        self._close = request.close or plane.draining or self.state < WAITING or (lengthless and not request.minor)
        if self.state == WAITING:
            self._move(TUNNEL if head.status == SWITCHING else ANSWERING)
        elif not head.close and head.status < 300:
            self._move(ANSWERED[self.state])
        else:
            self._move(ABANDONED)
            self.down.unblock()
            self._wait()
            self.down.rearm()
        extra, caches = b"" if self._key is None else self._key.cookie, self._decision.caches
        if caches is not None:
            extra = caches.lines(head, extra, plane.wall)
        if self._target.told is not None:
            extra += self._labels(self._target.told)
        goals = self._decision.goals
        if goals is not None:
            reached = goals.reached(request, self.down.peer, head, self._facts)
            if reached:
                plane.recorder.reach(self._decision, reached, self._user)
        return plane.hops.response(head, request, extra, self._close, body, self._identified)

    def _labels(self, name: bytes) -> bytes:
        """Who answers, and why if it is not who was decided on."""
        version = b"X-Canary-Version: %b\r\n" % name
        if self._course is None or not self._course.takeover:
            return version
        return b"%bX-Canary-Rescue: %b\r\n" % (version, self._course.takeover.encode("ascii"))

    def _forget_response(self) -> None:
        """Nothing of it has left."""
        if self.state in FORGOTTEN:
            self._move(FORGOTTEN[self.state])
        self._response = None
        self._out = None
        self._sent = 0
        self._chunk_out = self._close = False

    def _interim(self, head: ResponseHead) -> None:
        if head.status == CONTINUE and self.state < WAITING:
            self._begun()
        self._wait()
        if self._head.minor:
            self._delivered = INTERIM
            self.down.send(self._plane.hops.response(head, self._head, b"", False))

    def _switch(self, head: ResponseHead) -> None:
        """The endpoint changes the protocol: from here on the two connections are one tunnel."""
        down, upstream, plane = self.down, self._upstream, self._plane
        if upstream is None or self.state != WAITING or not upgrade.switched(head, self._upgrade):
            raise Refused(Failure.RESPONSE_INVALID, "101 to something that was not asked for")
        down.send(self._rewritten(head))
        self._let_go()
        self._upstream = upstream.exchange = None
        self.deadline = NEVER
        if self._pool is not None:
            self._pool.ejection.succeeded()
        self._count(SUCCESS, SWITCHING, plane.now(), None)
        tunnel = Tunnel(plane, self, down.transport, upstream.transport)
        plane.tunnels.add(tunnel)
        early, paused, ended = upstream.leave(), down.paused, down.half_closed
        tunnel.start(down.leave(), early, ended=ended, paused=paused)

    def tunnel_ended(self, received: int, sent: int) -> None:
        """Both connections of the tunnel are gone; the bytes that the client sent and got in it."""
        self._move(OVER)
        self._received, self._sent = received, sent
        self._drop_upstream()
        self._leave()
        self._log(SUCCESS, SWITCHING, None)

    def tunnel_broke(self, why: str) -> None:
        """The endpoint reset the tunnel. That is counted for nothing, and said."""
        self._note(Failure.UPSTREAM_RESET, f"the tunnel broke ({why})")

    def response_data(self, data: bytes) -> None:
        """Payload from the upstream, framed for the client; `flush` sends it."""
        self._sent += len(data)
        if self._out is None:
            self._out = []
        if self._chunk_out:
            self._out += (chunk_start(len(data)), data, b"\r\n")
        else:
            self._out.append(data)

    def flush(self) -> None:
        """Send what the last bytes from the upstream amounted to."""
        self._wait()
        self._write_out()

    def _write_out(self) -> None:
        out, self._out = self._out, None
        if not out:
            return
        self._delivered = FINAL
        if len(out) == 1:
            self.down.send(out[0])
        elif len(out[1]) <= JOIN_LIMIT:
            self.down.send(b"".join(out))
        else:
            self.down.transport.writelines(out)

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The response is complete: free the connection, send the rest, count."""
        head = self._response
        if head is None:
            raise RuntimeError("a response ended that had not begun")
        self._release(head)
        if self._chunk_out:
            self._out = [*(self._out or ()), last_chunk(trailers)]
        self._write_out()
        self._complete(head)

    def _complete(self, head: ResponseHead) -> None:
        """All of the response was handed on: count it, and go on with the connection."""
        if head.status >= 400 and (self._course is None or self._course.charged is None):
            self._cell.reply(head.status)
        self._record(ERROR_5XX if head.status >= 500 else SUCCESS, head.status, True)
        self.down.finished(self._close)

    def _release(self, head: ResponseHead) -> None:
        """The response is here to its end: the connection is free for others, if it is still good."""
        upstream, pool = self._upstream, self._pool
        if upstream is None or pool is None:
            raise RuntimeError("a connection is given back that was not lent")
        self._upstream = None
        upstream.exchange = self._pool = None
        pool.in_flight -= 1
        if pool.ejection.failures:
            pool.ejection.succeeded()
        if head.close or self.state < WAITING or self.state == DISCARDED or not upstream.clean():
            if upstream.reader.pending():
                self._note(Failure.RESPONSE_INVALID, "more bytes came than the response has")
            upstream.abort()
        else:
            if self._paused_at:
                upstream.transport.resume_reading()
            pool.give_back(upstream, self._plane.tick + self._target.keep_alive)

    # What can go wrong.

    def aborted(self) -> None:
        """The canary was aborted and this exchange has had its time: stable answers, or we do where it cannot."""
        if not self.withdraw():
            self._fail(Failure.CANARY_ABORTED)

    def ended(self) -> None:
        """The instance ends, and this exchange with it."""
        self._fail(Failure.SHUTTING_DOWN)

    def downstream_failed(self, failure: Failure) -> None:
        """The client broke the rest of its message: its fault, so not counted against the version."""
        self._drop_upstream()
        self._record(Outcome.CLIENT_ABORT, self._code(failure))
        self._answer(failure, True)

    def shed(self) -> None:
        """Nothing more may be held for this exchange: the memory is needed. That is no fault of the version."""
        self._drop_upstream()
        self._record(Outcome.OVERFLOW, self._code(Failure.OVERLOADED))
        if self._delivered != FINAL:
            self._answer(Failure.OVERLOADED, True)

    def weight(self) -> int:
        """Bytes that are kept of the request: for the endpoint, or to be sent once more."""
        return self._weight + (0 if self._upstream is None else self._upstream.weight())

    @property
    def begun(self) -> bool:
        """Whether the client got the beginning of the response."""
        return self._delivered == FINAL

    def client_gone(self) -> None:
        """Nobody is waiting any more: cancel the upstream at once."""
        self._drop_upstream()
        self._record(Outcome.CLIENT_ABORT, self._code(Failure.CLIENT_GONE))

    def _fail(self, failure: Failure) -> None:
        """Nothing can be done about it: the client gets the failure."""
        close = self._head.close or self.state < WAITING or self._plane.draining
        self._drop_upstream()
        self._record(failure.outcome or Outcome.PROTOCOL, self._code(failure))
        self._answer(failure, close)

    def _code(self, failure: Failure) -> int:
        """The status the client got: the upstream's if its head was sent, else our own."""
        return self._response.status if self._delivered == FINAL and self._response is not None else failure.status

    def _answer(self, failure: Failure, close: bool) -> None:
        if self._delivered == FINAL:
            self._write_out()
            self.down.cut(not self._chunk_out and self._response is not None and self._response.length < 0)
        else:
            caches = self._decision.caches
            extra = self._identified if caches is None else self._identified + caches.vary
            self._plane.answer(self.down.transport, failure, self._head, close=close, extra=extra)
            self.down.finished(close)

    def _record(self, outcome: Outcome, code: int, judged: bool = False) -> None:
        """Count, release, log: the end of every exchange but that of a tunnel."""
        plane = self._plane
        self._move(OVER)
        if self._patience is not None:
            self._end_patience()
        if self._weight:
            self._let_go()
        now = plane.now()
        if self._copy is not None:
            self._forget_copy()
        if self._user:
            self._count_user(outcome)
        if judged and code == OK and self._course is None and self._tried == self._started and not self._excluded:
            self._cell.succeed(now - self._started)
        else:
            self._count(outcome, code, now, now - self._tried - self._excluded if judged else None)
        if self._held is not None:
            self._leave()
        if plane.access_log is not None:
            self._log(outcome, code, now - self._tried - self._excluded if judged else None)

    def _count(self, outcome: Outcome, code: int, now: float, latency: float | None) -> None:
        """A version is charged with its first attempt, and judged by its own time alone."""
        course = self._course
        duration = now - self._started
        if course is None or course.charged is None:
            self._cell.finish(outcome, code, duration, latency)
            return
        if not course.takeover and latency is not None:
            self._cell.repeat(outcome)
        self._cell.finish(course.charged, code, duration, None)

    def _log(self, outcome: Outcome, code: int, latency: float | None) -> None:
        """A line of the access log, where there is one."""
        log = self._plane.access_log
        if log is not None:
            log(self._entry(outcome, code, latency))

    def _entry(self, outcome: Outcome, code: int, latency: float | None) -> Entry:
        plane, head, peer, decision, target = self._plane, self._head, self.down.peer, self._decision, self._target
        duration = plane.now() - self._started
        course = self._course
        rescue = "" if course is None else course.takeover
        states = {"retry": self._attempts > 1, rescue: bool(rescue), "tunnel": code == SWITCHING}
        client, scheme = sender(peer, head)
        return Entry(
            plane.wall() - duration, client, peer.address, head.method, head.host or b"", head.target, head.minor,
            scheme, code, decision.route.name, decision.version.name, decision.reason,
            endpoint="" if target.endpoint is None else target.endpoint.authority,
            attempts=self._attempts,
            duration=duration,
            upstream=latency if course is None else None,
            connect=self._opening,
            received=self._received,
            sent=self._sent,
            outcome=outcome if course is None or course.charged is None else course.charged,
            flags=tuple(flag for flag, holds in states.items() if holds),
            request_id=request_id_of(self._identified),
        )  # fmt: skip
