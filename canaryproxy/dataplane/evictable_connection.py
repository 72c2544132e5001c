"""A client connection as a holder of bytes, of a slot, and of time.

Bytes held are counted, limited by pausing reads, and discarded when memory is short; a slot is lost by eviction; the
deadline closes the connection, without a reset if possible.
"""

from canaryproxy.dataplane.client_stream import ClientPhase, ClientStream
from canaryproxy.dataplane.eviction import BUSY, ConnectionSlot
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import FINAL, WAITING
from canaryproxy.dataplane.transports import reset
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead

# Bytes already encrypted for a client that does not read, which the loop does not report.
BELOW_TLS = 131_072

# Bytes read ahead while an exchange runs.
PIPELINE_LIMIT = 16_384


IDLE, HEAD, EXCHANGE, LINGERING, CLOSED = ClientPhase

# Seconds for which a half-closed connection is still read, so that bytes under way do not cause a reset.
LINGER_SECONDS = 2.0


class EvictableConnection(ClientStream):
    """A client connection that holds a slot. `_weight`: bytes counted for it, those received and those queued by the
    loop's transport; `deadline`: when it is closed; `proven`: it has received a response; `since`: when it began to
    wait, for eviction; `slow`: the exchange or direction in which it is too slow (`SlowClients`).
    """

    _scheme: bytes
    _unsent: int
    _upload_blocked: bool
    _weight: int
    _yielding: bool
    blocked: bool
    deadline: float
    exchange: Exchange | None
    phase: ClientPhase
    slot: ConnectionSlot | None
    proven: bool
    reader: RequestParser
    since: float
    slow: object | None

    # Bytes.

    def _weigh(self) -> None:
        """Count bytes received and bytes queued by the loop's transport; our own transports count theirs."""
        weight = self.reader.buffered_bytes()
        if self._sender is None and self.phase is not CLOSED:
            weight += self.transport.get_write_buffer_size()
            if self.paused and self._scheme == b"https":
                weight += BELOW_TLS
        self._count(weight)

    def _count(self, weight: int) -> None:
        if weight != self._weight:
            self.plane.buffers.add(weight - self._weight)
            self._weight = weight

    def _forget_bytes(self) -> None:
        """Discard what the client sent."""
        self.reader.take_all()
        self._weigh()

    def weight(self) -> int:
        """Bytes held for this client."""
        if self._sender is None:
            self._weigh()
            queued = 0
        else:
            queued = self.transport.held()  # type: ignore[attr-defined]
        return self._weight + queued + (0 if self.exchange is None else self.exchange.weight())

    def progress(self) -> tuple[object, int]:
        """The exchange under way, and the bytes of it that have moved, without queued ones."""
        exchange = self.exchange
        return exchange, 0 if exchange is None else exchange.received + exchange.sent - self.weight()

    def shed(self) -> None:
        """Memory is short: hold nothing for this client any more, and let it know."""
        exchange = self.exchange
        queued = self.paused or self.phase is LINGERING
        if exchange is not None:
            exchange.shed()
            self.exchange = None
        elif not queued and self.phase is not CLOSED:
            self._refuse(Failure.OVERLOADED)
        if queued or (exchange is not None and self.delivered == FINAL):
            self.phase = CLOSED
            reset(self.transport)
        self._forget_bytes()

    def _refuse(self, failure: Failure, head: RequestHead | None = None) -> None:
        """Answer a request that reached no decision."""
        raise NotImplementedError

    def block(self) -> None:
        """Pause reading: the upstream reads slower than the client sends."""
        if not self._upload_blocked:
            self._upload_blocked = True
            self._set_reading()
            self.rearm()

    def unblock(self) -> None:
        """Resume reading."""
        if self._upload_blocked:
            self._upload_blocked = False
            self._set_reading()
            self.rearm()

    def _set_reading(self) -> None:
        """Read, unless the upstream is blocked or too much has been read ahead."""
        lingering = self.phase is LINGERING
        waits = self._yielding or (self.exchange is not None and self.exchange.state >= WAITING)
        ahead = waits and self.reader.pending() > (0 if self.plane.buffers.tight else PIPELINE_LIMIT)
        blocked = not lingering and (self._upload_blocked or ahead)
        if blocked == self.blocked or self.transport.is_closing() or self.half_closed:
            return
        self.blocked = blocked
        if blocked:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # The slot.

    def idle_since(self) -> float:
        """Since when it waits for a request, or is too slow; `BUSY` with bytes under way, and as a tunnel."""
        if self.phase is CLOSED:
            return BUSY
        turn = self.progress_mark()
        if turn is not None:
            return self.since if self.slow is turn[0] else BUSY
        return BUSY if self.exchange is not None else self.since

    def owing(self) -> bool:
        """Whether the client owes its first request, the rest of a head, or progress."""
        return self.phase is not IDLE or not self.proven or self.progress_mark() is not None

    def progress_mark(self) -> tuple[object, int] | None:
        """What the client has to do now (read a response, send a body) and the bytes moved; None if nothing."""
        exchange = self.exchange
        unsent = self.transport.get_write_buffer_size()
        if exchange is None:
            return (self, -unsent) if unsent else None
        if self.paused:
            return exchange, exchange.sent - unsent
        if exchange.owed() and not self._upload_blocked:
            return exchange, exchange.received
        return None

    def evict(self) -> None:
        """Close now, as between two requests, or abort the exchange under way. TLS sends its close_notify first."""
        if self.exchange is None and self._scheme != b"http":
            self.phase = LINGERING
            # close() writes the close_notify of TLS, without which the peer could suspect a truncation.
            self.transport.close()
            self.plane.clock.loop.call_soon(self.transport.abort)
        else:
            self.transport.abort()

    def close(self) -> None:
        """Close once everything written has been sent, without a reset."""
        self.phase = LINGERING
        self.since = self.plane.clock.tick
        if self._weight:
            self._forget_bytes()
        self._unsent = self.transport.get_write_buffer_size()
        seconds = self.plane.settings.timeouts.body_idle if self._unsent else LINGER_SECONDS
        self.deadline = self.plane.clock.deadline_in(seconds)
        if self.half_closed or not self.transport.can_write_eof():
            self.transport.close()
            return
        # Half-close and go on reading: a close with unread bytes would send RST, which can destroy the response.
        self.transport.write_eof()
        if self.blocked:
            self._set_reading()

    def close_when_idle(self) -> None:
        """Shutdown has begun: wait for a next request only as long as idle connections are kept now."""
        if self.phase is IDLE and not self.paused:
            self.deadline = min(self.deadline, self.plane.clock.tick + self.plane.lifetime.keep_alive)

    # Time.

    def expired(self) -> None:
        """The deadline passed: answer if a request is under way, else close."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if 0 < self._unsent != before:
            # A slow client has read some of the queued bytes since the deadline was set, which is extended.
            self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
            return
        if self.phase is EXCHANGE and not self.paused and not self.half_closed and self.exchange is not None:
            self.exchange.downstream_failed(Failure.REQUEST_TIMEOUT)
        elif self.phase is HEAD:
            self._refuse(Failure.REQUEST_TIMEOUT)
        elif self.phase is IDLE and not self.paused:
            self.close()
        else:
            self.transport.abort()
