"""One HTTP/1 client connection: bytes in, requests out one at a time, responses in the order of the requests.

Reads ahead at most `PIPELINE_LIMIT` bytes while an exchange runs, and begins at most `REQUESTS_PER_TURN` requests in
one turn of the event loop: pipelined requests that are answered locally, without a wait, would delay all other
connections. After the last response the connection is half-closed and read for a moment, so that bytes still arriving
cannot cause a reset that destroys the response (RFC 9112 9.6).
"""

import asyncio
import math
from typing import cast

from canaryproxy.dataplane.admission import Admission
from canaryproxy.dataplane.buffers import WATER
from canaryproxy.dataplane.evictable_connection import (
    CLOSED,
    EXCHANGE,
    HEAD,
    IDLE,
    LINGER_SECONDS,
    LINGERING,
    PIPELINE_LIMIT,
)
from canaryproxy.dataplane.eviction import ConnectionSlot
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import NOTHING, WAITING
from canaryproxy.dataplane.local_response import options
from canaryproxy.dataplane.response_writer import ResponseWriter
from canaryproxy.http.forwarding import request_id_of
from canaryproxy.http.h1.body import BodyEnd
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import RequestHead
from canaryproxy.telemetry.record.access_log import entry_without_decision

NEVER = math.inf
OK = 200
# Requests of one connection begun in one turn of the loop. More would let a pipelining client delay the others.
REQUESTS_PER_TURN = 8
# Bytes discarded after the last response before the connection is aborted: the rest of an upload that is not used.
LINGER_BYTES = 16_777_216


class ClientConnection(ResponseWriter):
    """A client connection. `address` is the client's if it is not the peer's own (PROXY protocol).

    `paused`: the client does not read what is written; `blocked`: reading from it is paused.
    """

    plane: Admission

    def __init__(
        self, plane: Admission, address: str | None = None, scheme: bytes = b"http", slot: ConnectionSlot | None = None
    ) -> None:
        self.plane = plane
        self._address = address
        self._scheme = scheme
        self.reader = RequestParser(plane.settings.limits)
        self.exchange = None
        self.phase = IDLE
        self.deadline = NEVER
        self.paused = self.blocked = self.half_closed = self.proven = False
        self.await_response()
        self._upload_blocked = self._advancing = self._yielding = False
        self._drained = self._unsent = self._weight = 0
        self.slot = slot
        self.since = plane.clock.tick
        self.slow = None

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer.address!r} {self.phase.value} {self.exchange!r}>"

    # Events of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted. A silent client is closed after the header timeout."""
        self.attach(cast("asyncio.Transport", transport))
        self.transport.set_write_buffer_limits(WATER)
        peername = transport.get_extra_info("peername")
        self.peer = self.plane.client_for(self._address or (peername[0] if peername else "unknown"), self._scheme)
        self.since = self.plane.clock.now()
        failure = self.plane.register(self)
        if failure is None and self.plane.buffers.refusing:
            failure = Failure.OVERLOADED
        if failure is None:
            self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.header)
        else:
            self._turn_away(failure)

    def _turn_away(self, failure: Failure) -> None:
        """Answer a connection that was refused, and close it without lingering."""
        self.phase = LINGERING
        self.deadline = self.plane.clock.deadline_in(LINGER_SECONDS)
        self._answer(failure, None, close=True)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.phase is LINGERING:
            self._drained += len(data)
            if self._drained > LINGER_BYTES:
                self.transport.abort()
            return
        reader = self.reader
        reader.feed(data)
        exchange = self.exchange
        # The next request is parsed only when the current one has ended; until then its bytes are read ahead.
        if exchange is None or exchange.state < WAITING:
            self.advance()
        elif reader.pending() > PIPELINE_LIMIT or self.plane.buffers.tight:
            self._set_reading()
        if self._weight or reader.buffered_bytes():
            self._weigh()

    def eof_received(self) -> bool:
        """The client's FIN. The client may still read (RFC 9112 9.6), so a complete request is still answered."""
        self.half_closed = True
        exchange = self.exchange
        if self.phase is LINGERING:
            return False
        if exchange is None:
            return (self.paused or self._yielding) and self.reader.pending() > 0
        if exchange.state < WAITING:
            self.exchange = None
            exchange.client_gone()
            return False
        self.rearm()
        return self.transport.can_write_eof()

    def connection_lost(self, _: Exception | None) -> None:
        """Closed. An exchange under way for this client is cancelled."""
        self.phase = CLOSED
        self.deadline = NEVER
        self.plane.unregister(self)
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.client_gone()
        self._count(0)

    def pause_writing(self) -> None:
        """The client reads slower than the upstream sends."""
        self.paused = True
        self._unsent = self.transport.get_write_buffer_size()
        self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
        if self._sender is None:
            self._weigh()
        if self.exchange is not None:
            self.exchange.response_paused()

    def resume_writing(self) -> None:
        """The client has read most of what was queued."""
        self.paused = False
        if self._sender is None:
            self._weigh()
        if self.phase is LINGERING:
            return
        self.deadline = NEVER
        if self.exchange is not None:
            self.exchange.response_resumed()
            self.rearm()
        elif self.phase is not CLOSED:
            self._next()

    # Requests.

    def advance(self) -> None:
        """Process what the parser can deliver now."""
        if self._advancing or self._yielding:
            self._set_reading()
            return
        self._advancing = True
        begun = 0
        reader = self.reader
        try:
            while True:
                exchange = self.exchange
                if exchange is None:
                    if not self._may_begin(begun):
                        break
                elif exchange.state >= WAITING:
                    break
                event = reader.next()
                if event is None:
                    self._await_request()
                    break
                if type(event) is RequestHead:
                    begun += 1
                    self._begin(event)
                elif exchange is None:
                    continue
                elif type(event) is bytes:
                    exchange.request_data(event)
                elif type(event) is BodyEnd:
                    exchange.request_end(event.trailers)
                    self.rearm()
        except RequestRejectedError as refused:
            self._protocol_error(refused.failure)
        finally:
            self._advancing = False

    def _may_begin(self, begun: int) -> bool:
        """Whether another request may begin, after `begun` in this turn of the loop."""
        if self.paused or (self.phase is not IDLE and self.phase is not HEAD):
            return False
        if begun == REQUESTS_PER_TURN and self.reader.pending():
            self._yielding = True
            self._set_reading()
            self.plane.clock.loop.call_soon(self._go_on)
            return False
        return True

    def _go_on(self) -> None:
        """Continue in the next turn of the loop."""
        self._yielding = False
        if self.phase is not CLOSED:
            self._set_reading()
            self.advance()
            self._weigh()

    def _begin(self, head: RequestHead) -> None:
        if head.method == b"OPTIONS" and (b"max-forwards", b"0") in head.special:
            identified = self.plane.head_rewriter.request_id(head)
            self._note(head, OK, identified)
            self.send(options(head, close=head.close, extra=identified))
            self.finished(head.close)
            return
        if self.plane.buffers.refusing:
            self._refuse(Failure.OVERLOADED, head)
            return
        exchange = self.exchange = Exchange()
        self.delivered = NOTHING
        exchange.prepare(self, head)
        self.phase = EXCHANGE
        self.deadline = NEVER
        try:
            exchange.begin()
        except RequestRejectedError as refused:
            self.exchange = None
            self._refuse(refused.failure, head)
        except BaseException:
            self.exchange = None  # it has no attempt and no deadlines yet: nothing may look at it
            raise

    def _await_request(self) -> None:
        """Nothing to parse: set how long the client may be silent, unless it has closed its side."""
        if self.exchange is not None:
            self.rearm()
        elif self.half_closed:
            self.transport.close()
        elif self.phase is IDLE and self.reader.mid_message:
            self.phase = HEAD
            self.since = self.plane.clock.tick
            self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.header)

    def rearm(self) -> None:
        """Set the client's deadline during an exchange. While `paused`, the one set by `pause_writing` stays."""
        exchange = self.exchange
        if exchange is None or self.paused:
            return
        timeouts = self.plane.settings.timeouts
        if self.half_closed:
            if self.deadline == NEVER:
                self.deadline = self.plane.clock.deadline_in(timeouts.half_close)
        elif exchange.owed() and not self._upload_blocked:
            self.deadline = self.plane.clock.deadline_in(timeouts.body_idle)
        else:
            self.deadline = NEVER

    def _protocol_error(self, failure: Failure) -> None:
        """The client's bytes are malformed, so nothing after them can be parsed either."""
        if self.exchange is None:
            self._refuse(failure)
        else:
            self.exchange.downstream_failed(failure)

    def _refuse(self, failure: Failure, head: RequestHead | None = None) -> None:
        """Answer a request that reached no decision."""
        close = head is None or head.close or failure.origin == "downstream" or self.reader.mid_message
        self._answer(failure, head, close=close)
        self.finished(close)

    def _answer(self, failure: Failure, head: RequestHead | None, *, close: bool) -> None:
        """Send, count and log a local error response."""
        plane = self.plane
        identified = plane.head_rewriter.request_id(head)
        plane.telemetry.recorder.refuse(failure.status)
        self._note(head, failure.status, identified)
        self.transport.write(plane.local_response(failure, head, close=close, extra=identified))

    def _note(self, head: RequestHead | None, status: int, identified: bytes) -> None:
        """Write an access-log entry for a request without a decision, if there is an access log."""
        plane = self.plane
        if plane.telemetry.access_log is not None:
            at, request_id = plane.clock.wall_clock(), request_id_of(identified)
            plane.telemetry.access_log(entry_without_decision(at, self.peer, head, status, request_id))

    # Called by the exchange.

    def leave(self) -> bytes:
        """Hand the connection over to a tunnel; returns the bytes read ahead."""
        self.exchange = None
        self.phase = CLOSED
        self.deadline = NEVER
        self.plane.become_tunnel(self)
        if self.blocked:
            self.transport.resume_reading()
        self._count(0)
        return self.reader.take_all()

    def finished(self, close: bool) -> None:
        """The response is written: go on with the next request, or close."""
        self.exchange = None
        self._upload_blocked = False
        if self.phase is CLOSED:
            return
        if close:
            self.close()
        else:
            self._next()

    def _next(self) -> None:
        self.phase = IDLE
        if self.paused:
            return
        plane = self.plane
        self.deadline = plane.clock.tick + plane.lifetime.keep_alive
        self.since = plane.clock.tick
        if not self.proven:
            self.proven = True
            self.prefer()
        slot = self.slot
        if slot is not None and slot.parked:
            plane.idle(self)
        if self.blocked:
            self._set_reading()
        if self.reader.pending() or self.half_closed:
            self.advance()
            if self._weight:
                self._weigh()
