"""One HTTP/1 connection to an endpoint: a request out, the response in, events to the exchange that uses it.

A connection serves at most one exchange at a time. While idle it waits in its pool, and anything that happens to it
there (unsolicited bytes, EOF, an error) ends it.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Sequence
from typing import cast

from canaryproxy.dataplane.buffers import WATER, Buffers
from canaryproxy.dataplane.resource_exhaustion import lacks
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.http.forwarding import write_request
from canaryproxy.http.h1.body import BodyEnd
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.http.h1.writer import chunk, last_chunk
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import Body, RequestHead, ResponseHead

STREAM = Body.STREAM


def reason_of(error: Exception) -> str:
    """The system's text for an error, without names and numbers. The errno is more precise than asyncio's text."""
    words = getattr(error, "verify_message", "") or getattr(error, "reason", "")
    if not words and isinstance(error, OSError):
        number = None if isinstance(error, ssl.SSLError) else error.errno
        words = os.strerror(number) if number is not None and number in errno.errorcode else error.strerror
    return str(words or error) or type(error).__name__


class UpstreamConnection(UpstreamStream):
    """The HTTP/1 connection is its own stream, for one exchange at a time. `opened`: it was connected. Bytes queued by
    the loop's transport are counted in `buffers`.
    """

    def __init__(self, buffers: Buffers | None = None) -> None:
        self.buffers = buffers or Buffers()
        self._backlog = 0
        self._chunked = False
        self.exchange = None
        self.reader = ResponseParser()
        self.reused = False
        self.answered = False
        self.blocked = False
        self.opened = False
        self.alive = False
        self.expires = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.opened = self.alive = True
        self.attach(cast("asyncio.Transport", transport))
        self.transport.set_write_buffer_limits(WATER)
        self.prefer()

    # The request.

    def ask(
        self,
        handler: ResponseHandler,
        head: RequestHead,
        lines: tuple[bytes, bytes, bytes, bytes],
        pieces: list[bytes] | None,
        trailers: tuple[bytes, ...] | None,
    ) -> None:
        """Send a request, in one write with the part of the body that is there."""
        self.exchange = handler
        self.answered = False
        self.reader.expect(head.method)
        self._chunked = head.body is STREAM
        data = write_request(head, lines)
        if pieces or trailers is not None:
            data = b"".join([data, *self._framed(pieces or (), trailers)])
        self.send(data)

    def _framed(self, pieces: Sequence[bytes], trailers: tuple[bytes, ...] | None) -> Sequence[bytes]:
        """The body in this connection's framing."""
        if not self._chunked:
            return pieces
        framed = [chunk(piece) for piece in pieces]
        return framed if trailers is None else [*framed, last_chunk(trailers)]

    def data(self, piece: bytes) -> None:
        """Send a piece of the request's body. An empty chunk would end it."""
        if piece:
            self.send(chunk(piece) if self._chunked else piece)

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """The request's body is complete."""
        if self._chunked:
            self.send(last_chunk(trailers))

    def queued(self) -> int:
        """Bytes of the request that the endpoint has not read."""
        return self.transport.get_write_buffer_size()

    # The connection.

    def pause(self) -> None:
        """Pause reading the response."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Resume reading the response."""
        self.transport.resume_reading()

    def leave(self) -> bytes:
        """Hand the connection over to a tunnel, which counts its own bytes; returns the bytes received early."""
        self._count(0)
        return self.reader.take_all()

    def clean(self) -> bool:
        """Whether the connection is ready for another request."""
        return self.alive and not self.blocked and not self.reader.pending()

    def surplus(self) -> int:
        """Bytes received that belong to no response."""
        return self.reader.pending()

    def abort(self) -> None:
        """Close at once, even with a request under way."""
        self.exchange = None
        self.alive = False
        self._count(0)
        if self.opened:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse and pass on; a response byte without a request ends the connection."""
        exchange = self.exchange
        if exchange is None:
            self.abort()
            return
        self.answered = True
        reader = self.reader
        reader.feed(data)
        try:
            event = reader.next()
            if type(event) is ResponseHead and (body := reader.rest()) is not None:
                exchange.response_whole(event, body)
                return
            while event is not None:
                if type(event) is bytes:
                    exchange.response_data(event)
                elif type(event) is ResponseHead:
                    if exchange.response_head(event):
                        return
                elif type(event) is BodyEnd:
                    exchange.response_end(event.trailers)
                    return
                event = reader.next()
        except RequestRejectedError as refused:
            exchange.upstream_failed(refused.failure, refused.why)
            return
        exchange.flush()

    def eof_received(self) -> None:
        """The endpoint's FIN ends a close-delimited response and truncates any other; the transport closes."""
        self.alive = False
        exchange = self.exchange
        if exchange is None:
            return
        # A body without length or chunks ends with the connection (RFC 9112 6.3).
        if self.reader.until_close:
            exchange.response_end(())
        else:
            self._break(exchange, None)

    def connection_lost(self, error: Exception | None) -> None:
        """Closed; an exchange that still waits for it has failed."""
        self.alive = False
        self._count(0)
        exchange = self.exchange
        if exchange is not None:
            self._break(exchange, error)

    def _break(self, exchange: ResponseHandler, error: Exception | None) -> None:
        how = "was closed" if error is None else f"broke ({reason_of(error)})"
        if lacks(error):
            exchange.upstream_failed(Failure.OVERLOADED, f"the connection {how}")
        elif self.answered:
            exchange.upstream_failed(Failure.RESPONSE_CUT, f"the connection {how} within the response")
        else:
            exchange.upstream_failed(Failure.UPSTREAM_RESET, f"the connection {how} before a response")

    def pause_writing(self) -> None:
        """The endpoint reads slower than the client sends."""
        self.blocked = True
        if self._sender is None:
            self._count(self.transport.get_write_buffer_size())
        if self.exchange is not None:
            self.exchange.request_blocked()

    def resume_writing(self) -> None:
        """The endpoint has read most of what was queued."""
        self.blocked = False
        self._count(0)
        if self.exchange is not None:
            self.exchange.request_unblocked()

    def _count(self, backlog: int) -> None:
        """Count the bytes queued by the loop's transport; our own transports count theirs."""
        if backlog != self._backlog:
            self.buffers.add(backlog - self._backlog)
            self._backlog = backlog

    def weight(self) -> int:
        """Bytes queued for the endpoint."""
        if self._sender is not None:
            return int(self.transport.held())  # type: ignore[attr-defined]
        return self._backlog
