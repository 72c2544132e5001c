"""The bytes held for a client connection: counted, limited by pausing reads, discarded when memory is short."""

from canaryproxy.dataplane.client_stream import ClientPhase, ClientStream
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import FINAL, WAITING
from canaryproxy.dataplane.transports import reset
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead

BELOW_TLS = 131_072
"""Bytes already encrypted for a client that does not read, which the loop does not report."""

PIPELINE_LIMIT = 16_384
"""Bytes read ahead while an exchange runs."""


IDLE, HEAD, EXCHANGE, LINGERING, CLOSED = ClientPhase


class BufferedConnection(ClientStream):
    """`_weight`: bytes counted for this connection, those received and those queued by the loop's transport."""

    _scheme: bytes
    _upload_blocked: bool
    _weight: int
    _yielding: bool
    blocked: bool
    exchange: Exchange | None
    phase: ClientPhase
    reader: RequestParser

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
