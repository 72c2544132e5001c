"""Writes responses to an HTTP/1 client: heads, framing, and whether the connection persists.

A head is held back until the bytes that came with it are parsed, so a body that is malformed from its first bytes still
becomes a clean 502.
"""

from canaryproxy.dataplane.evictable_connection import LINGERING, EvictableConnection
from canaryproxy.dataplane.exchange_state import FINAL, INTERIM, NOTHING, WAITING
from canaryproxy.dataplane.transports import reset
from canaryproxy.http.h1.writer import chunk_start, last_chunk
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import Body, RequestHead, ResponseHead

NO_BODY = Body.NONE

# Responses up to this size are sent as one buffer; larger pieces are not copied.
JOIN_LIMIT = 16_384


class ResponseWriter(EvictableConnection):
    """`_out` is the part of a response held back; `_chunked`: its body is chunked; `_unbounded`: the body ends with the
    connection; `_last`: no response follows on this connection.
    """

    _chunked: bool
    _last: bool
    _out: list[bytes] | None
    _unbounded: bool

    def await_response(self) -> None:
        """Set the initial state."""
        self.delivered = NOTHING
        self._out = None
        self._chunked = self._last = self._unbounded = False

    def interim(self, head: ResponseHead) -> None:
        """Send an interim response, unless the client speaks HTTP/1.0 (RFC 9110 15.2)."""
        request = self._request()
        if request.version != 10:
            self.delivered = INTERIM
            self.send(self.plane.head_rewriter.response(head, request, b"", False))

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        """Send a final head with its whole body, in one write unless that needs a large copy."""
        joins = len(body) <= JOIN_LIMIT
        data = self._rewritten(head, lines, body if joins else b"")
        self.delivered = FINAL
        if joins:
            self.send(data)
        else:
            self.transport.writelines((data, body))

    def head(self, head: ResponseHead, lines: bytes) -> None:
        """Hold back a final head until `flush`."""
        self._out = [self._rewritten(head, lines, b"")]

    def _rewritten(self, head: ResponseHead, lines: bytes, body: bytes) -> bytes:
        """The head for the client, followed by `body`. Decides the framing and whether the connection persists."""
        exchange, plane = self.exchange, self.plane
        if exchange is None:
            raise RuntimeError("a response without a request")
        request = exchange.request
        # HTTP/1.0 clients do not know chunked bodies (RFC 9112 6.1), so the end of the connection delimits the body.
        lengthless = head.length < 0 and head.body is not NO_BODY
        self._chunked = lengthless and request.version != 10
        self._unbounded = lengthless and not self._chunked
        self._last = request.close or plane.lifetime.draining or exchange.state < WAITING or self._unbounded
        return plane.head_rewriter.response(head, request, lines, self._last, body, exchange.request_id_line)

    def _request(self) -> RequestHead:
        """The request that is being answered."""
        if self.exchange is None:
            raise RuntimeError("a local response without a request")
        return self.exchange.request

    def data(self, piece: bytes) -> None:
        """Hold back a piece of the body until `flush`. An empty chunk would end the body."""
        if not piece:
            return
        if self._out is None:
            self._out = []
        if self._chunked:
            self._out += (chunk_start(len(piece)), piece, b"\r\n")
        else:
            self._out.append(piece)

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """Send what was held back, and end the body."""
        if self._chunked:
            self._out = [*(self._out or ()), last_chunk(trailers)]
        self.flush()

    def flush(self) -> None:
        """Send what was held back."""
        out, self._out = self._out, None
        if not out:
            return
        self.delivered = FINAL
        if len(out) == 1:
            self.send(out[0])
        elif len(out[1]) <= JOIN_LIMIT:
            self.send(b"".join(out))
        else:
            self.transport.writelines(out)

    def forget(self) -> None:
        """Discard what was held back: another attempt is made."""
        self._out = None

    def complete(self) -> None:
        """The response was passed on and counted: go on with the next request, or close."""
        self.finished(self._last)

    def answer(self, failure: Failure, lines: bytes, close: bool) -> None:
        """Send a local response, or abort a response that has begun."""
        if self.delivered == FINAL:
            self.flush()
            self._cut(self._unbounded)
            return
        self._out = None
        self.transport.write(self.plane.local_response(failure, self._request(), close=close, extra=lines))
        self.finished(close)

    def _cut(self, hard: bool) -> None:
        """Abort a response so that the client notices.

        Queued bytes are still sent, unless `hard`: a response that ends with the connection would look complete, so the
        connection is reset.
        """
        self.exchange = None
        self.phase = LINGERING
        self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
        if hard:
            reset(self.transport)
        else:
            self.transport.close()

    def finished(self, close: bool) -> None:
        """The response is written: go on with the next request, or close."""
        raise NotImplementedError
