"""The life of one request and its response: decide, lease a connection, send, answer, count.

An exchange has a decision, an attempt (`attempt`), the request's body as far as it is kept (`replay_buffer`), the
version's deadlines (`deadlines`), and after a failure a plan (`failover`), which `recovery` carries out. Its progress
is one state (`exchange_state`). It passes payload and protocol-neutral heads to the client's side (`client_stream`) and
to the endpoint's (`upstream_stream`), which do the framing.

Every failure ends in `fail`, which has the client answered if possible, or its response aborted. Every exchange with a
decision ends in `_record`, once. Each move to another endpoint consults the current table, so a canary that was aborted
meanwhile gets no second chance.
"""

from canaryproxy.dataplane import recovery
from canaryproxy.dataplane.attempt import Attempt
from canaryproxy.dataplane.client_stream import ClientStream
from canaryproxy.dataplane.deadlines import NEVER, Deadlines
from canaryproxy.dataplane.exchange_state import (
    ABANDONED,
    ANSWERED,
    ANSWERED_EARLY,
    ANSWERED_EXPECTING,
    ANSWERING,
    COMPLETED,
    DISCARDED,
    EXPECTING,
    FINAL,
    FORGOTTEN,
    LEGAL,
    OVER,
    SENDING,
    TUNNEL,
    WAITING,
    ExchangeState,
    IllegalMoveError,
)
from canaryproxy.dataplane.failover import WITHDRAWN, FailoverPlan, Repeatable, repeatable
from canaryproxy.dataplane.mirror import MirrorCopy
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.replay_buffer import REPLAY_LIMIT, ReplayBuffer
from canaryproxy.dataplane.shield import DeadlineQueue
from canaryproxy.dataplane.tunnel import Tunnel
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.http import upgrade
from canaryproxy.http.forwarding import request_id_of
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import FAILURES, Failure, Outcome, RequestRejectedError
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from canaryproxy.routing.decide import decide
from canaryproxy.telemetry.record.access_log import AccessLogEntry, client_fields

NO_BODY = Body.NONE
SUCCESS, ERROR_5XX = Outcome.SUCCESS, Outcome.ERROR_5XX
CONTINUE, SWITCHING, OK = 100, 101, 200


def expects(head: RequestHead) -> bool:
    """Whether the client waits for a 100 before it sends its body; HTTP/1.0 has none (RFC 9110 10.1.1)."""
    return head.version != 10 and any(name == b"expect" for name, _ in head.special)


class Exchange(ResponseHandler):
    """One decided request and its response. `down` is the client's stream; `decision` is what the exchange is counted
    for, in `cell`; the attempt's target is where it is tried. `request_id_line` is the header line with the request id;
    `received` and `sent` count body bytes from and to the client.
    """

    def prepare(self, down: ClientStream, request: RequestHead) -> None:
        """Used instead of `__init__`, which would take its arguments as Python objects in compiled code."""
        self.down, self.context, self.request = down, down.plane, request
        self._replay: ReplayBuffer | None = None
        if request.body is NO_BODY or request.length == 0:
            self.state: int = WAITING
        else:
            self.state = EXPECTING if expects(request) else SENDING
            self._replay = ReplayBuffer(self.context.buffers)
        self._copy: MirrorCopy | None = None
        self._deadline_queue: DeadlineQueue | None = None
        self.plan: FailoverPlan | None = None
        self._response: ResponseHead | None = None
        self.received = self.sent = 0

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r} {ExchangeState(self.state).name} {self._response!r}>"

    def _move(self, to: int) -> None:
        """Change the state. Raises `IllegalMoveError`."""
        legal = LEGAL[self.state]
        if not legal >> to & 1:
            raise IllegalMoveError(self.state, to)
        self.state = to

    # Read by the worker.

    @property
    def target(self) -> Decision:
        """The endpoint and version where the request is being tried."""
        return self.attempt.target

    @property
    def waits(self) -> bool:
        """Whether the request is complete and the version has not answered; False once withdrawn from it."""
        withdrawn = self.plan is not None and self.plan.takeover == WITHDRAWN
        return self.state == WAITING and not withdrawn

    def weight(self) -> int:
        """Bytes of the request that are held: for the endpoint, or for another attempt."""
        stream, replay = self.attempt.stream, self._replay
        return (0 if replay is None else replay.weight) + (0 if stream is None else stream.weight())

    def owed(self) -> bool:
        """Whether it is the client's turn to send."""
        return self.state in (SENDING, ANSWERED_EARLY)

    # Decide and lease.

    def begin(self) -> None:
        """Choose version and endpoint, and send the head or open a connection for it.

        Raises `RequestRejectedError` if there is no route or the request is in a loop; nothing is counted for a version
        then.
        """
        context, request, peer = self.context, self.request, self.down.peer
        routing, pools = context.routing, context.pools
        decision, self._key, self._user, self._request_view = decide(
            routing.index, request, peer, routing.splits, pools.endpoint_load
        )
        self.decision = decision
        pool = pools.by_decision.get(decision)
        if pool is None:
            pool = pools.of(decision)
        rewriter, offered = context.head_rewriter, self._offered()
        self._lines = rewriter.request(request, peer, pool.authority, decision.version_header, offered)
        self.request_id_line = rewriter.request_id_line
        attempt = self.attempt = Attempt.__new__(Attempt)
        attempt.begin(decision)
        deadlines = self.deadlines = Deadlines.__new__(Deadlines)
        deadlines.begin(context.clock.now())
        self.cell = context.telemetry.recorder.start(decision, deadlines.started)
        if self._user:
            context.telemetry.recorder.user_seen(decision, self._user)
        if decision.shield is not None:
            context.shields.deposit(decision, deadlines.started)
            self._start_deadline()
        if decision.mirror is not None:
            self._copy = context.mirrors.copy(decision.mirror, request, peer, self.request_id_line)
            if self.state == WAITING:
                self._send_copy()
        if decision.endpoint is None:
            recovery.go_on(self, Failure.NO_ENDPOINT, "no endpoint of the version is known")
        elif decision.limit is not None and not attempt.enter(decision, pools.in_flight):
            self.fail(Failure.OVERLOADED)
        else:
            self._lease(pool)

    def _offered(self) -> bytes:
        """The protocols that the connection may be upgraded to."""
        if not self.request.upgrade:
            return b""
        allowed = [name.encode("ascii") for name in self.decision.route.upgrades]
        return upgrade.requested_protocols(self.request, allowed)

    def _lease(self, pool: Pool) -> None:
        stream = self.attempt.lease(pool)
        if stream is None:
            self.open()
        else:
            self._send(stream)

    def open(self) -> None:
        """Open a connection to the attempt's endpoint."""
        self.attempt.open(self)
        self.deadlines.at = self.context.clock.deadline_in(self.attempt.target.connect_timeout)

    def connected(self, upstream: UpstreamStream) -> None:
        """The connection was opened."""
        attempt, plan = self.attempt, self.plan
        attempt.connecting = None
        opening = self.deadlines.opened(self.context.clock.now())
        if plan is None or not plan.takeover:
            self.cell.connected(opening)
        if attempt.called_off(self.context.routing.index):
            upstream.abort()
            self.aborted()
            return
        self._send(upstream)
        if not upstream.blocked:
            self.down.unblock()

    def _send(self, stream: UpstreamStream) -> None:
        attempt, replay = self.attempt, self._replay
        attempt.stream = stream
        attempt.number += 1
        self._wait()
        if replay is None:
            stream.ask(self, self.request, self._lines, None, None)
        else:
            stream.ask(self, self.request, self._lines, replay.pieces, replay.trailers)
            may = repeatable(self.request.method) is not Repeatable.NEVER and replay.size <= REPLAY_LIMIT
            if not may or not (stream.reused or self.decision.has_alternative):
                replay.drop()
        if self.down.paused:
            self.response_paused()

    # The request's body.

    def request_data(self, data: bytes) -> None:
        """Payload from the client, passed on, or kept until there is a connection; an empty piece is ignored."""
        if not data or self.state == ABANDONED:
            return
        if self.state in (EXPECTING, ANSWERED_EXPECTING):
            self._body_begins()
        self.received += len(data)
        if self._copy is not None and not self._copy.take(data):
            self._copy = None
        stream, replay = self.attempt.stream, self._replay
        if replay is None:
            raise RuntimeError("a body for a request without one")
        if stream is None:
            if replay.hold(data):
                self.down.block()
        else:
            replay.keep(data)
            stream.data(data)

    def request_end(self, trailers: tuple[bytes, ...]) -> None:
        """The client's message is complete."""
        self._move(COMPLETED[self.state])
        if self.state == DISCARDED:
            return
        self._send_copy()
        if self._replay is not None:
            self._replay.trailers = trailers
        stream = self.attempt.stream
        if stream is not None:
            stream.end(trailers)
        self._wait()
        shielded = self.decision.shield is not None and self.state == WAITING and stream is not None
        if shielded and (self.plan is None or not self.plan.takeover):
            # The time that the client took to send the request is not the canary's.
            self.stop_deadline()
            self._start_deadline()

    def _body_begins(self) -> None:
        """The client sends its body, or was asked to: from now on it is its turn."""
        if self.state == EXPECTING:
            self._move(SENDING)
        elif self.state == ANSWERED_EXPECTING:
            self._move(ANSWERED_EARLY)
        self._wait()
        self.down.rearm()

    def _send_copy(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.send()

    # The response.

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head from the upstream; returns whether the exchange is complete.

        Raises `RequestRejectedError` for a 101 that was not requested.
        """
        if head.status == SWITCHING:
            self._switch(head)
            return True
        if head.status < 200:
            self._interim(head)
            return False
        bodyless = head.body is NO_BODY or head.length == 0
        if head.status >= 500 and recovery.replace_error(self, head, bodyless):
            return True
        self.down.head(head, self._answered(head))
        if bodyless:
            self.response_end(())
        return bodyless

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with its whole body: nearly every response."""
        if head.status >= 500 and recovery.replace_error(self, head, True):
            return
        lines = self._answered(head)
        self.sent = len(body)
        # Released before the client is answered, so that its next request finds the connection idle.
        self.release(head)
        self.down.whole(head, lines, body)
        self._complete(head)

    def _answered(self, head: ResponseHead) -> bytes:
        """The version has answered; returns additional header lines for the client."""
        context, decision = self.context, self.decision
        self._response = head
        if self._deadline_queue is not None:
            self.stop_deadline()
        if self.state == WAITING:
            self._move(TUNNEL if head.status == SWITCHING else ANSWERING)
        elif not head.close and head.status < 300:
            self._move(ANSWERED[self.state])
        else:
            self._move(ABANDONED)
            self.down.unblock()
            self._wait()
            self.down.rearm()
        lines, caches = b"" if self._key is None else self._key.cookie, decision.caches
        if caches is not None:
            lines = caches.lines(head, lines, context.clock.wall_clock)
        if self.attempt.target.version_header is not None:
            lines += self._labels(self.attempt.target.version_header)
        goals = decision.goals
        if goals is not None:
            reached = goals.match(self.request, self.down.peer, head, self._request_view)
            if reached:
                context.telemetry.recorder.goal_reached(decision, reached, self._user)
        return lines

    def _labels(self, name: bytes) -> bytes:
        """Header lines that name the version that answers, and why if it is not the decided one."""
        version = b"X-Canary-Version: %b\r\n" % name
        if self.plan is None or not self.plan.takeover:
            return version
        return b"%bX-Canary-Rescue: %b\r\n" % (version, self.plan.takeover.encode("ascii"))

    def _interim(self, head: ResponseHead) -> None:
        if head.status == CONTINUE and self.state < WAITING:
            self._body_begins()
        self._wait()
        self.down.interim(head)

    def response_data(self, data: bytes) -> None:
        """Payload from the upstream, sent by `flush`. An empty piece is ignored."""
        self.sent += len(data)
        self.down.data(data)

    def flush(self) -> None:
        """Send what the last bytes from the upstream contained."""
        self._wait()
        self.down.flush()

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The response is complete: release the connection, send the rest, count."""
        head = self._response
        if head is None:
            raise RuntimeError("a response ended before its head")
        self.release(head)
        self.down.end(trailers)
        self._complete(head)

    def _complete(self, head: ResponseHead) -> None:
        """The whole response was passed on: count it, and go on with the connection."""
        if head.status >= 400 and (self.plan is None or self.plan.charged is None):
            self.cell.reply(head.status)
        self._record(ERROR_5XX if head.status >= 500 else SUCCESS, head.status, True)
        self.down.complete()

    def release(self, head: ResponseHead) -> None:
        """The response has been received completely: release the stream, for reuse if possible."""
        attempt = self.attempt
        whole = self.state >= WAITING and self.state != DISCARDED
        expires = self.context.clock.tick + attempt.target.keep_alive
        if not attempt.release(whole and not head.close, self.deadlines.paused_at != 0, expires):
            self.note(Failure.RESPONSE_INVALID, "more bytes were received than the response has")

    def _switch(self, head: ResponseHead) -> None:
        """The endpoint switches protocols: the two connections become a tunnel."""
        down, attempt, context = self.down, self.attempt, self.context
        stream = attempt.stream
        if stream is None or self.state != WAITING or not upgrade.accepted_protocol(head, self._offered()):
            raise RequestRejectedError(Failure.RESPONSE_INVALID, "101 without a request to switch protocols")
        down.head(head, self._answered(head))
        down.flush()
        if self._replay is not None:
            self._replay.drop()
        attempt.stream = stream.exchange = None
        self.deadlines.at = NEVER
        if attempt.pool is not None:
            attempt.pool.ejection.succeeded()
        self._count(SUCCESS, SWITCHING, context.clock.now(), None)
        tunnel = Tunnel(context, self, down.transport, stream.transport)
        context.tunnels.add(tunnel)
        early, paused, ended = stream.leave(), down.paused, down.half_closed
        tunnel.start(down.leave(), early, ended=ended, paused=paused)

    def tunnel_ended(self, received: int, sent: int) -> None:
        """Both connections of the tunnel are closed; the bytes that the client sent and received."""
        self._move(OVER)
        self.received, self.sent = received, sent
        self.attempt.drop()
        self.attempt.leave(self.context.pools.in_flight)
        self._log(SUCCESS, SWITCHING, None)

    def tunnel_broke(self, why: str) -> None:
        """The endpoint reset the tunnel. That is logged, but not counted."""
        self.note(Failure.UPSTREAM_RESET, f"the tunnel broke ({why})")

    # Flow control. A slow side pauses the other one, and only its own deadline runs.

    def _wait(self) -> None:
        """Start the version's deadline if it is the version's turn. Stop it if it is the client's: while it has more to
        send, or does not read. While a connection opens, the deadline is the connect timeout.
        """
        attempt, deadlines = self.attempt, self.deadlines
        stream = attempt.stream
        if stream is None:
            return
        clients_turn = self.state in (SENDING, ANSWERED_EARLY) and not stream.blocked
        if clients_turn or deadlines.paused_at:
            deadlines.at = NEVER
        else:
            deadlines.at = self.context.clock.deadline_in(attempt.target.response_timeout)

    def request_blocked(self) -> None:
        """The endpoint reads slower than the client sends: pause the client, and limit how long that may last."""
        attempt = self.attempt
        if self.state not in (ABANDONED, DISCARDED) and attempt.stream is not None:
            self.down.block()
            attempt.queued = attempt.stream.queued()
            self._wait()

    def request_unblocked(self) -> None:
        """The endpoint has read what was queued."""
        self.down.unblock()
        self._wait()

    def response_paused(self) -> None:
        """The client does not read: pause the upstream, and stop its deadline."""
        stream, deadlines = self.attempt.stream, self.deadlines
        if stream is not None and not deadlines.paused_at:
            deadlines.pause(self.context.clock.now())
            stream.pause()

    def response_resumed(self) -> None:
        """The client has read what was queued."""
        stream, deadlines = self.attempt.stream, self.deadlines
        if stream is not None and deadlines.paused_at:
            deadlines.resume(self.context.clock.now())
            stream.resume()
            self._wait()

    def expired(self) -> None:
        """The deadline passed. An endpoint that slowly reads what is queued for it gets more time."""
        attempt = self.attempt
        blocked = attempt.stream is not None and attempt.stream.blocked
        if blocked and attempt.progressed():
            self._wait()
        elif attempt.connecting is not None:
            attempt.connecting.cancel()
            self.connect_failed(Failure.CONNECT_TIMEOUT, f"no connection within {attempt.target.connect_timeout:g} s")
        else:
            what = "no byte of the request was read" if blocked else "no byte was received"
            recovery.go_on(self, Failure.RESPONSE_TIMEOUT, f"{what} for {attempt.target.response_timeout:g} s")

    # Failures.

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """No connection could be opened; nothing was sent."""
        self.attempt.connecting = None
        recovery.go_on(self, failure, why)

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The stream, or what was received on it, is unusable."""
        recovery.go_on(self, failure, why)

    def may_repeat(self) -> Repeatable:
        """Whether the request may be sent, or sent again: nothing was delivered to the client, the request is held
        completely, and either none of it was sent yet or its method allows it.
        """
        if self.down.delivered or self.state in (ABANDONED, DISCARDED):
            return Repeatable.NEVER
        if not self.attempt.number:
            return Repeatable.SAFE
        here = self._replay is None or self._replay.complete
        return repeatable(self.request.method) if here else Repeatable.NEVER

    def begin_attempt(self) -> None:
        """Drop the last attempt, and start the time of another one."""
        self.attempt.drop()
        self.deadlines.try_again(self.context.clock.now())
        self.down.unblock()

    def forget_response(self) -> None:
        """Discard a response of which nothing was sent: another attempt is made."""
        if self.state in FORGOTTEN:
            self._move(FORGOTTEN[self.state])
        self._response = None
        self.sent = 0
        self.down.forget()

    def set_target(self, target: Decision) -> None:
        """Go on at another endpoint, with a head rewritten for it."""
        context, request, attempt = self.context, self.request, self.attempt
        pool = context.pools.of(target)
        if target.version_header is not None or request.host is None:
            peer, offered = self.down.peer, self._offered()
            self._lines = context.head_rewriter.request(
                request, peer, pool.authority, target.version_header, offered, self.request_id_line
            )
        moved = target.version is not attempt.target.version
        attempt.target = target
        if moved and not attempt.enter(target, context.pools.in_flight):
            self.fail(Failure.OVERLOADED)
        else:
            self._lease(pool)

    def note(self, failure: Failure, why: str) -> None:
        """Log a failure of the endpoint."""
        self.context.telemetry.errors.note(failure, self.attempt.target, request_id_of(self.request_id_line), why)

    # The shield's time.

    def _start_deadline(self) -> None:
        """Start the canary's time under the shield."""
        self._deadline_queue = self.context.shields.deadline_queue(self.decision)
        self._deadline_queue.add(self)

    def stop_deadline(self) -> None:
        """Stop the canary's time under the shield."""
        if self._deadline_queue is not None:
            self._deadline_queue.remove(self)
            self._deadline_queue = None

    def overdue(self) -> None:
        """The shield's time is over. With no budget left, the canary has the time of any other version."""
        self._deadline_queue = None
        if self.attempt.stream is None or self.state >= WAITING:
            recovery.replace_late(self)

    # The end.

    def withdraw(self) -> bool:
        """Take the request back from the canary and have stable answer. Returns whether that is possible."""
        return recovery.withdraw(self)

    def aborted(self) -> None:
        """The canary was aborted: stable answers, or the client gets an error."""
        if not self.withdraw():
            self.fail(Failure.CANARY_ABORTED)

    def downstream_failed(self, failure: Failure) -> None:
        """The rest of the client's message is malformed or late: not counted against the version."""
        self.attempt.drop()
        self._record(Outcome.CLIENT_ABORT, self._code(failure))
        self._answer(failure, True)

    def shed(self) -> None:
        """Memory is short: hold nothing more for this exchange. Not counted against the version."""
        self.attempt.drop()
        self._record(Outcome.OVERFLOW, self._code(Failure.OVERLOADED))
        if self.down.delivered != FINAL:
            self._answer(Failure.OVERLOADED, True)

    def client_gone(self) -> None:
        """The client has disconnected: cancel the attempt at once."""
        self.attempt.drop()
        self._record(Outcome.CLIENT_ABORT, self._code(Failure.CLIENT_GONE))

    def fail(self, failure: Failure) -> None:
        """Give up: the client gets the failure."""
        close = self.request.close or self.state < WAITING or self.context.lifetime.draining
        self.attempt.drop()
        self._record(failure.outcome or Outcome.PROTOCOL, self._code(failure))
        self._answer(failure, close)

    def _code(self, failure: Failure) -> int:
        """The status that the client got: the upstream's if its head was sent, else our own."""
        began = self.down.delivered == FINAL and self._response is not None
        return self._response.status if began and self._response is not None else failure.status

    def _answer(self, failure: Failure, close: bool) -> None:
        caches = self.decision.caches
        self.down.answer(failure, self.request_id_line if caches is None else self.request_id_line + caches.vary, close)

    def _record(self, outcome: Outcome, code: int, judged: bool = False) -> None:
        """Count, release, log: the end of every exchange except tunnels."""
        context, deadlines, attempt = self.context, self.deadlines, self.attempt
        self._move(OVER)
        if self._deadline_queue is not None:
            self.stop_deadline()
        if self._replay is not None:
            self._replay.drop()
        now = context.clock.now()
        if self._copy is not None:
            self._copy.forget()
            self._copy = None
        if self._user:
            charged = outcome if self.plan is None or self.plan.charged is None else self.plan.charged
            if charged in FAILURES:
                context.telemetry.recorder.user_failed(self.decision, self._user)
        if judged and code == OK and self.plan is None and deadlines.undisturbed():
            self.cell.succeed(now - deadlines.started)
        else:
            self._count(outcome, code, now, deadlines.latency(now) if judged else None)
        if attempt.limit_key is not None:
            attempt.leave(context.pools.in_flight)
        if context.telemetry.access_log is not None:
            self._log(outcome, code, deadlines.latency(now) if judged else None)

    def _count(self, outcome: Outcome, code: int, now: float, latency: float | None) -> None:
        """A version is charged with its first attempt, and judged by its own time only."""
        plan = self.plan
        duration = now - self.deadlines.started
        if plan is None or plan.charged is None:
            self.cell.finish(outcome, code, duration, latency)
            return
        if not plan.takeover and latency is not None:
            self.cell.repeat(outcome)
        self.cell.finish(plan.charged, code, duration, None)

    def _log(self, outcome: Outcome, code: int, latency: float | None) -> None:
        """Write the access-log entry, if there is a log: for the decided version, with the outcome charged to it."""
        log, clock = self.context.telemetry.access_log, self.context.clock
        if log is None:
            return
        request, decision, attempt, plan = self.request, self.decision, self.attempt, self.plan
        duration = clock.now() - self.deadlines.started
        takeover = "" if plan is None else plan.takeover
        flags = {"retry": attempt.number > 1, takeover: bool(takeover), "tunnel": code == SWITCHING}
        client, scheme = client_fields(self.down.peer, request)
        endpoint = attempt.target.endpoint
        log(
            AccessLogEntry(
                clock.wall_clock() - duration,
                client,
                self.down.peer.address,
                request.method,
                request.host or b"",
                request.target,
                request.version,
                scheme,
                code,
                decision.route.name,
                decision.version.name,
                decision.reason,
                "" if endpoint is None else endpoint.authority,
                attempt.number,
                duration,
                upstream=latency if plan is None else None,
                connect=self.deadlines.opening,
                received=self.received,
                sent=self.sent,
                outcome=outcome if plan is None or plan.charged is None else plan.charged,
                flags=tuple([name for name, is_set in flags.items() if is_set]),
                request_id=request_id_of(self.request_id_line),
            )
        )
