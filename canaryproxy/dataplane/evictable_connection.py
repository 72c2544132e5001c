"""The end of a client connection: eviction, deadlines, and closing without a reset."""

from canaryproxy.dataplane.buffered_connection import CLOSED, EXCHANGE, HEAD, IDLE, LINGERING
from canaryproxy.dataplane.eviction import BUSY, ConnectionSlot
from canaryproxy.dataplane.response_writer import ResponseWriter
from canaryproxy.model.failure import Failure

LINGER_SECONDS = 2.0
"""Seconds for which a half-closed connection is still read, so that bytes under way do not cause a reset."""


class EvictableConnection(ResponseWriter):
    """A client connection that holds a slot. `proven`: it has received a response; `since`: when it began to wait, for
    eviction; `slow`: the exchange or direction in which it is too slow (`SlowClients`).
    """

    _unsent: int
    place: ConnectionSlot | None
    proven: bool
    since: float
    slow: object | None

    def take_slot(self, place: ConnectionSlot | None, now: float) -> None:
        """Initialize, with the slot that the connection has already, if any."""
        self.place = place
        self.proven = False
        self.since = now
        self.slow = None

    def idle_since(self) -> float:
        """Since when the connection is idle: waiting for a request, or too slow. `BUSY` with bytes under way, and as a
        tunnel.
        """
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
        """What the client has to do now (read a response, send a body) and the bytes that it has moved; None if
        nothing.
        """
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
            self.transport.close()
            self.plane.clock.call_soon(self.transport.abort)
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
        if self.moving():
            return
        if self.phase is EXCHANGE and not self.paused and not self.half_closed and self.exchange is not None:
            self.exchange.downstream_failed(Failure.REQUEST_TIMEOUT)
        elif self.phase is HEAD:
            self._refuse(Failure.REQUEST_TIMEOUT)
        elif self.phase is IDLE and not self.paused:
            self.close()
        else:
            self.transport.abort()

    def moving(self) -> bool:
        """Whether a slow client has read some of the queued bytes since the deadline was set; it is then extended."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        moved = 0 < self._unsent != before
        if moved:
            self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
        return moved
