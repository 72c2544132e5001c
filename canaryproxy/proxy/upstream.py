"""One connection to an endpoint: bytes of the response in, events to the exchange that owns it.

A connection belongs to at most one exchange at a time. Idle, it waits in its pool, and anything that
happens to it there (bytes nobody asked for, EOF, an error) ends it.
"""

import asyncio
import errno
import os
import ssl
from typing import cast

from canaryproxy.http1.body import End
from canaryproxy.http1.response import ResponseReader
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.message import ResponseHead
from canaryproxy.proxy.buffers import WATER, Buffers
from canaryproxy.proxy.ends import Receiver
from canaryproxy.proxy.shortage import lacks


def reason_of(error: Exception) -> str:
    """What the system says of an error, without names and numbers around it. Its number says more than the words that
    asyncio puts in their place.
    """
    words = getattr(error, "verify_message", "") or getattr(error, "reason", "")
    if not words and isinstance(error, OSError):
        number = None if isinstance(error, ssl.SSLError) else error.errno
        words = os.strerror(number) if number is not None and number in errno.errorcode else error.strerror
    return str(words or error) or type(error).__name__


class Recipient:
    """Whoever sent a request over a connection, and gets what comes of it."""

    __slots__ = ()

    def connected(self, upstream: "Upstream") -> None:
        """A connection was opened for it."""
        raise NotImplementedError

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """No connection could be opened; `why` is for the log."""
        raise NotImplementedError

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with all of its body."""
        raise NotImplementedError

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head; True when nothing more is wanted of this connection."""
        raise NotImplementedError

    def response_data(self, data: bytes) -> None:
        """A piece of the body."""
        raise NotImplementedError

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The end of the body."""
        raise NotImplementedError

    def flush(self) -> None:
        """That was all that the last bytes amounted to."""
        raise NotImplementedError

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The connection or what came over it is unusable; `why` is for the log."""
        raise NotImplementedError

    def request_blocked(self) -> None:
        """The endpoint does not take what was written."""
        raise NotImplementedError

    def request_unblocked(self) -> None:
        """It took it."""
        raise NotImplementedError


class Upstream(Receiver):
    """`opened`: there has been a connection; `alive`: a request may be written to it; `blocked`: the endpoint does not
    take what we write; `reused`: a response has come over it before; `answered`: the exchange got a byte. The exchange
    sets itself in `exchange`, and None there when it is through with the connection. What the loop queues for it is
    counted in `buffers`.
    """

    __slots__ = (
        "_backlog", "alive", "answered", "blocked", "buffers", "exchange", "expires", "opened", "reader", "reused",
    )  # fmt: skip

    def __init__(self, buffers: Buffers | None = None) -> None:
        self.buffers = buffers or Buffers()
        self._backlog = 0
        self.exchange: Recipient | None = None
        self.reader = ResponseReader()
        self.reused = False
        self.answered = False
        self.blocked = False
        self.opened = False
        self.alive = False
        self.expires = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.opened = self.alive = True
        self.attach(cast("asyncio.Transport", transport))
        self.transport.set_write_buffer_limits(WATER)
        self.prefer()

    def leave(self) -> bytes:
        """The connection goes on as a tunnel, which counts for itself: what came early."""
        self._count(0)
        return self.reader.take_all()

    def clean(self) -> bool:
        """Whether nothing stands between this connection and a next response."""
        return self.alive and not self.blocked and not self.reader.pending()

    def abort(self) -> None:
        """Close at once; whatever was under way is cut."""
        self.exchange = None
        self.alive = False
        self._count(0)
        if self.opened:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse and hand on; a response byte without a request ends the connection."""
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
                elif type(event) is End:
                    exchange.response_end(event.trailers)
                    return
                event = reader.next()
        except Refused as refused:
            exchange.upstream_failed(refused.failure, refused.why)
            return
        exchange.flush()

    def eof_received(self) -> None:
        """The endpoint's FIN ends a close-delimited response and cuts any other; the transport closes."""
        self.alive = False
        exchange = self.exchange
        if exchange is None:
            return
        if self.reader.until_close:
            exchange.response_end(())
        else:
            self._break(exchange, None)

    def connection_lost(self, error: Exception | None) -> None:
        """Gone; an exchange still waiting for it has failed."""
        self.alive = False
        self._count(0)
        exchange = self.exchange
        if exchange is not None:
            self._break(exchange, error)

    def _break(self, exchange: Recipient, error: Exception | None) -> None:
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
        """The endpoint caught up."""
        self.blocked = False
        self._count(0)
        if self.exchange is not None:
            self.exchange.request_unblocked()

    def _count(self, backlog: int) -> None:
        """The loop's transports queue so much; our own count for themselves."""
        if backlog != self._backlog:
            self.buffers.add(backlog - self._backlog)
            self._backlog = backlog

    def weight(self) -> int:
        """Bytes queued for the endpoint."""
        if self._sender is not None:
            return int(self.transport.held())  # type: ignore[attr-defined]
        return self._backlog
