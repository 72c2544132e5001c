"""Responses out on an HTTP/1 client's connection: heads, framing, and what becomes of the connection behind them.

A head is held back until the bytes it came with are parsed, so a body that is broken from its first bytes still becomes
a clean 502.
"""

from canaryproxy.dataplane.buffered_connection import LINGERING, BufferedConnection
from canaryproxy.dataplane.exchange_state import FINAL, INTERIM, NOTHING, WAITING
from canaryproxy.dataplane.transports import reset
from canaryproxy.http.h1.writer import chunk_start, last_chunk
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import Body, RequestHead, ResponseHead

NO_BODY = Body.NONE

JOIN_LIMIT = 16_384
"""Responses up to this size leave in one buffer; larger pieces are not copied to be joined."""


class ResponseWriter(BufferedConnection):
    """`_out` is what is held back of a response; `_chunked`: its body is chunked; `_unbounded`: only the end of the
    connection will end it; `_last`: nothing follows it on this connection.
    """

    __slots__ = ("_chunked", "_last", "_out", "_unbounded", "deadline")

    _chunked: bool
    _last: bool
    _out: list[bytes] | None
    _unbounded: bool
    deadline: float

    def await_response(self) -> None:
        """There is none yet."""
        self.delivered = NOTHING
        self._out = None
        self._chunked = self._last = self._unbounded = False

    def interim(self, head: ResponseHead) -> None:
        """Send an interim response. HTTP/1.0 knows none (RFC 9110 15.2)."""
        request = self._request()
        if request.version != 10:
            self.delivered = INTERIM
            self.send(self.plane.head_rewriter.response(head, request, b"", False))

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        """Send a final head with all of its body, in one write where that needs no large copy."""
        joins = len(body) <= JOIN_LIMIT
        data = self._rewritten(head, lines, body if joins else b"")
        self.delivered = FINAL
        if joins:
            self.send(data)
        else:
            self.transport.writelines((data, body))

    def head(self, head: ResponseHead, lines: bytes) -> None:
        """A final head, held back until `flush`."""
        self._out = [self._rewritten(head, lines, b"")]

    def _rewritten(self, head: ResponseHead, lines: bytes, body: bytes) -> bytes:
        """The head for the client, with `body` behind it; settles how the body is framed and what becomes of the
        connection.
        """
        exchange, plane = self.exchange, self.plane
        if exchange is None:
            raise RuntimeError("a response to a request that is over")
        request = exchange.request
        lengthless = head.length < 0 and head.body is not NO_BODY
        self._chunked = lengthless and request.version != 10
        self._unbounded = lengthless and not self._chunked
        self._last = request.close or plane.lifetime.draining or exchange.state < WAITING or self._unbounded
        return plane.head_rewriter.response(head, request, lines, self._last, body, exchange.request_id_line)

    def _request(self) -> RequestHead:
        """What is being answered."""
        if self.exchange is None:
            raise RuntimeError("an answer to a request that is over")
        return self.exchange.request

    def data(self, piece: bytes) -> None:
        """A piece of the body, held back until `flush`. An empty chunk would be the last one."""
        if not piece:
            return
        if self._out is None:
            self._out = []
        if self._chunked:
            self._out += (chunk_start(len(piece)), piece, b"\r\n")
        else:
            self._out.append(piece)

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """Send what was held back, and the end of the body."""
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
        """Another attempt is made: nothing of what was held back is sent."""
        self._out = None

    def complete(self) -> None:
        """The response was handed on and counted; go on with the next request, or end the connection."""
        self.finished(self._last)

    def answer(self, failure: Failure, lines: bytes, close: bool) -> None:
        """Say that there is no response, or end one of which a part has left."""
        if self.delivered == FINAL:
            self.flush()
            self._cut(self._unbounded)
            return
        self._out = None
        self.plane.answer(self.transport, failure, self._request(), close=close, extra=lines)
        self.finished(close)

    def _cut(self, hard: bool) -> None:
        """End a response that cannot be completed so that the client notices.

        Bytes that are queued still leave; `hard` resets the connection, for a response that only its
        close delimits and would otherwise look whole.
        """
        self.exchange = None
        self.phase = LINGERING
        self.deadline = self.plane.clock.deadline_in(self.plane.settings.timeouts.body_idle)
        if hard:
            reset(self.transport)
        else:
            self.transport.close()

    def finished(self, close: bool) -> None:
        """The answer is on its way; go on with the next request or end the connection."""
        raise NotImplementedError
