"""A client connection as one who holds a place (`eviction`): whether it may give way to others, and how it does."""

from canaryproxy.dataplane.buffered_connection import CLOSED, EXCHANGE, HEAD, IDLE, LINGERING
from canaryproxy.dataplane.eviction import BUSY, ConnectionSlot
from canaryproxy.dataplane.response_writer import ResponseWriter
from canaryproxy.model.failure import Failure

LINGER_SECONDS = 2.0


class EvictableConnection(ResponseWriter):
    """`proven`: it has had an answer; `since`: when it began to wait, as far as it may give way; `slow`: what it is
    slow in (`SlowClients`).
    """

    __slots__ = (
        "_unsent",
        "place",
        "proven",
        "since",
        "slow",
    )

    _unsent: int
    place: ConnectionSlot | None
    proven: bool
    since: float
    slow: object | None

    def take_slot(self, place: ConnectionSlot | None, now: float) -> None:
        """Begin, with a place where it has one already."""
        self.place = place
        self.proven = False
        self.since = now
        self.slow = None

    def idle_since(self) -> float:
        """Since when it may give way: it waits for a request, or has been too slow; with bytes under way it may not,
        nor as a tunnel.
        """
        if self.phase is CLOSED:
            return BUSY
        turn = self.progress_mark()
        if turn is not None:
            return self.since if self.slow is turn[0] else BUSY
        return BUSY if self.exchange is not None else self.since

    def owing(self) -> bool:
        """Whether it owes us its first request, the rest of a head, or haste; a close is all that we owe."""
        return self.phase is not IDLE or not self.proven or self.progress_mark() is not None

    def progress_mark(self) -> tuple[object, int] | None:
        """What it is the client's turn in, and the bytes it has moved: it takes an answer, or sends a body."""
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
        """Close now, as between two requests, or cut what is under way. TLS says its goodbye first."""
        if self.exchange is None and self._scheme != b"http":
            self.phase = LINGERING
            self.transport.close()
            self.plane.clock.call_soon(self.transport.abort)
        else:
            self.transport.abort()

    def close(self) -> None:
        """End the connection once everything written has left, without a reset."""
        self.phase = LINGERING
        self.since = self.plane.clock.tick
        if self._weight:
            self._forget_bytes()
        self._unsent = self.transport.get_write_buffer_size()
        self.deadline = self.plane.clock.deadline_in(
            self.plane.settings.timeouts.body_idle if self._unsent else LINGER_SECONDS
        )
        if self.half_closed or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        if self.blocked:
            self._set_reading()

    def close_when_idle(self) -> None:
        """The instance is about to end: wait for a next request only as long as it keeps idle ones now."""
        if self.phase is IDLE and not self.paused:
            self.deadline = min(self.deadline, self.plane.clock.tick + self.plane.lifetime.keep_alive)

    # Time.

    def expired(self) -> None:
        """The deadline passed: say so where a request was under way, else just close."""
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
        """Whether a slow client took some of what is queued since the deadline was set: it gets a new one."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        moved = 0 < self._unsent != before
        if moved:
            self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
        return moved
