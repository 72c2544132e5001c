"""One connection to a listener of the control plane: a bare socket until the head of its first request is complete,
from then on the transport of an HTTP protocol, which is passed everything.
"""

import asyncio
import contextlib
import re
import socket
import string
import struct
from typing import Protocol, cast

from canaryproxy.admin.receive_window import cut

ORDERLY = struct.pack("ii", 0, 0)
"""SO_LINGER of a connection that is answered: what was written arrives."""

LINE_ENDS = b"\r\n"
HEAD_END = b"\r\n\r\n"
END = re.compile(rb"\r\n\r\n|(?<!\r)\n")
"""Of a head, or of a line that ends as none of a request does."""
TOKEN = frozenset(b"!#$%&'*+-.^_`|~" + string.digits.encode() + string.ascii_letters.encode())
"""Bytes that a method may have (RFC 9110 5.6.2)."""


class ConnectionOwner(Protocol):
    """Where it visits: hears what becomes of it."""

    def paused(self, connection: "ControlConnection") -> None:
        """Its client does not take its answer."""

    def resumed(self, connection: "ControlConnection") -> None:
        """It takes it again."""

    def lost(self, connection: "ControlConnection") -> None:
        """It is gone."""


class ControlConnection(asyncio.Protocol):
    """A connection that `host` has accepted."""

    __slots__ = ("_aborted", "_host", "_received", "_transport", "_unsent", "complete", "file", "inner", "sock")

    def __init__(self, host: ConnectionOwner, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.fileno()
        self.inner: asyncio.Protocol | None = None
        self.complete = False
        self._host = host
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._aborted = False
        self._unsent = 0

    def __repr__(self) -> str:
        return f"<ControlConnection {self.file} {'inside' if self.inner is not None else 'waiting'}>"

    @property
    def buffered_bytes(self) -> int:
        """Bytes of its head that have arrived."""
        return len(self._received)

    def read(self, most: int) -> bool:
        """Read what is there, up to `most` bytes in all; whether there was anything. Raises `OSError`.

        A server skips empty lines before a request (RFC 9112 2.2), so they are no part of its head. What no head begins
        with, as a TLS hello, and a line without CR are complete at once, so that the parser refuses them at once.
        """
        more = self.sock.recv(most - len(self._received))
        if not more:
            return False
        start = max(len(self._received) - len(HEAD_END) + 1, 0)
        self._received = (self._received + more).lstrip(LINE_ENDS) if start == 0 else self._received + more
        self.complete = END.search(self._received, start) is not None or (
            self._received != b"" and self._received[0] not in TOKEN
        )
        return True

    def consume(self, least: int) -> bool:
        """Whether its client has taken so much of its answer since the writing paused, or since the last look."""
        unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
        taken, self._unsent = self._unsent - unsent, unsent
        return taken >= least

    def abort(self, words: bytes) -> None:
        """End it now, with these last words if it has no protocol yet."""
        self._aborted = True
        if self._transport is not None:
            cut(self._transport)
        elif self.inner is None:
            if words:
                with contextlib.suppress(OSError):
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ORDERLY)
                    self.sock.send(words)
            self.sock.close()

    def enter(self, inner: asyncio.Protocol) -> None:
        """Pass everything to `inner` from now on. Raises `OSError`."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ORDERLY)
        self.inner = inner

    # the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass on what was read before, too."""
        self._transport = cast("asyncio.Transport", transport)
        if self.inner is None:
            raise RuntimeError("a connection without a protocol was made one")
        self.inner.connection_made(transport)
        if self._aborted:
            self._transport.abort()
            return
        received, self._received = self._received, b""
        self.inner.data_received(received)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.inner is not None:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return None if self.inner is None else self.inner.eof_received()

    def pause_writing(self) -> None:
        """The buffer is full."""
        if self._transport is not None:
            self._unsent = self._transport.get_write_buffer_size()
        self._host.paused(self)
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        self._host.resumed(self)
        if self.inner is not None:
            self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._host.lost(self)
        if self.inner is not None:
            self.inner.connection_lost(exc)
