"""A connection to a listener of the control plane: a bare socket until its first request head is complete, then the
transport of an HTTP protocol to which every event is passed.
"""

import asyncio
import contextlib
import re
import socket
import string
import struct
from typing import Protocol, cast

from canaryproxy.admin.receive_window import cut

# SO_LINGER value of a connection that gets a response: written data is delivered.
ORDERLY = struct.pack("ii", 0, 0)

LINE_ENDS = b"\r\n"
HEAD_END = b"\r\n\r\n"
# End of a head, or a bare LF, which no valid request contains.
END = re.compile(rb"\r\n\r\n|(?<!\r)\n")
# Bytes allowed in a method (RFC 9110 5.6.2).
TOKEN = frozenset(b"!#$%&'*+-.^_`|~" + string.digits.encode() + string.ascii_letters.encode())


class ConnectionOwner(Protocol):
    """The accept loop that owns the connection."""

    def paused(self, connection: "ControlConnection") -> None:
        """The client stopped reading its response."""

    def resumed(self, connection: "ControlConnection") -> None:
        """The client reads again."""

    def lost(self, connection: "ControlConnection") -> None:
        """The connection is closed."""


class ControlConnection(asyncio.Protocol):
    """A connection accepted by `owner`."""

    __slots__ = ("_aborted", "_owner", "_received", "_transport", "_unsent", "complete", "file", "inner", "sock")

    def __init__(self, owner: ConnectionOwner, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.fileno()
        self.inner: asyncio.Protocol | None = None
        self.complete = False
        self._owner = owner
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._aborted = False
        self._unsent = 0

    def __repr__(self) -> str:
        return f"<ControlConnection {self.file} {'inside' if self.inner is not None else 'waiting'}>"

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the first head that have arrived."""
        return len(self._received)

    def read(self, most: int) -> bool:
        """Read available data, up to `most` bytes in total. Returns False at the end of input. Raises `OSError`.

        Empty lines before a request are skipped (RFC 9112 2.2). Data that cannot start a request, such as a TLS hello,
        and a line without CR count as a complete head, so that the parser refuses them at once.
        """
        more = self.sock.recv(most - len(self._received))
        if not more:
            return False
        start = max(len(self._received) - len(HEAD_END) + 1, 0)
        # `start`: only the last three known bytes can be part of a head end that is new.
        self._received = (self._received + more).lstrip(LINE_ENDS) if start == 0 else self._received + more
        no_request = self._received != b"" and self._received[0] not in TOKEN
        self.complete = no_request or END.search(self._received, start) is not None
        return True

    def consume(self, least: int) -> bool:
        """Whether the client has read `least` bytes since writing paused or since the last call."""
        unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
        taken, self._unsent = self._unsent - unsent, unsent
        return taken >= least

    def abort(self, last: bytes) -> None:
        """Close now; without a protocol, send the response `last` first."""
        self._aborted = True
        if self._transport is not None:
            cut(self._transport)
        elif self.inner is None:
            if last:
                with contextlib.suppress(OSError):
                    # The socket has inherited RST on close, which would drop the response.
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ORDERLY)
                    self.sock.send(last)
            self.sock.close()

    def enter(self, inner: asyncio.Protocol) -> None:
        """Attach the HTTP protocol. Raises `OSError`."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ORDERLY)
        self.inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass on the transport and the data that was read before."""
        self._transport = cast("asyncio.Transport", transport)
        if self.inner is None:
            raise RuntimeError("connection_made without an HTTP protocol")
        self.inner.connection_made(transport)
        if self._aborted:  # evicted while asyncio was creating the transport
            self._transport.abort()
            return
        received, self._received = self._received, b""
        self.inner.data_received(received)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        if self.inner is not None:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Passed on."""
        return None if self.inner is None else self.inner.eof_received()

    def pause_writing(self) -> None:
        """Report a full write buffer, and pass it on."""
        if self._transport is not None:
            self._unsent = self._transport.get_write_buffer_size()
        self._owner.paused(self)
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Report a drained write buffer, and pass it on."""
        self._owner.resumed(self)
        if self.inner is not None:
            self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end, and pass it on."""
        self._owner.lost(self)
        if self.inner is not None:
            self.inner.connection_lost(exc)
