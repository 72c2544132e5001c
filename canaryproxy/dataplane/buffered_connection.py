"""What a client's connection holds of bytes, so that it can be counted, and cut where it holds too much."""

from canaryproxy.dataplane.client_stream import ClientPhase, ClientStream
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import FINAL, WAITING
from canaryproxy.dataplane.transports import reset
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead

BELOW_TLS = 131_072
"""What is encrypted already of the bytes for a client that does not read: the loop says nothing about it."""

PIPELINE_LIMIT = 16_384
"""Bytes that are read ahead while an exchange runs."""


IDLE, HEAD, EXCHANGE, LINGERING, CLOSED = ClientPhase


class BufferedConnection(ClientStream):
    """`_weight` is what is kept of the client's bytes here, and what the loop queues for it."""

    _scheme: bytes
    _upload_blocked: bool
    _weight: int
    _yielding: bool
    blocked: bool
    exchange: Exchange | None
    phase: ClientPhase
    reader: RequestParser

    def _weigh(self) -> None:
        """Count what is kept of the client's bytes and what the loop queues for it; our own transports count theirs."""
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
        """What the client sent is of no use any more."""
        self.reader.take_all()
        self._weigh()

    def weight(self) -> int:
        """Bytes that are held for this client."""
        if self._sender is None:
            self._weigh()
            queued = 0
        else:
            queued = self.transport.held()  # type: ignore[attr-defined]
        return self._weight + queued + (0 if self.exchange is None else self.exchange.weight())

    def progress(self) -> tuple[object, int]:
        """What it is at, and the bytes of that which have moved: what is queued has not."""
        exchange = self.exchange
        return exchange, 0 if exchange is None else exchange.received + exchange.sent - self.weight()

    def shed(self) -> None:
        """The memory is needed: hold nothing for this client any more, and let it know."""
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
        """Answer what reached no decision."""
        raise NotImplementedError

    def block(self) -> None:
        """Stop reading: the upstream does not keep up with the client."""
        if not self._upload_blocked:
            self._upload_blocked = True
            self._set_reading()
            self.rearm()

    def unblock(self) -> None:
        """Read again."""
        if self._upload_blocked:
            self._upload_blocked = False
            self._set_reading()
            self.rearm()

    def _set_reading(self) -> None:
        """Read unless the upstream is full or the client is too far ahead."""
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
