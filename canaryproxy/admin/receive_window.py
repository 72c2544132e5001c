"""Detection of clients that do not read or do not send, from the kernel's TCP state, and long responses to them.

Small pieces fit into the socket buffers of a client that does not read, so writes succeed for hours. But its receive
window shrinks with every piece, while the window of a reading client is open again at the next sample.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, cast

from aiohttp import web

# Consecutive samples without progress after which a client counts as not reading.
STALLED_CHECKS = 3

# Minimum of bytes sent between two samples; more where window scaling (RFC 7323) has a coarser unit.
MIN_PIECE_BYTES = 4096

# SO_LINGER value: close sends RST and drops the send buffer.
RESET = struct.pack("ii", 1, 0)

# Seconds in the accept queue after which a connection without data counts as silent.
WAITED = 0.008

# Time for a client to read a long response.
RESPONSE_TIMEOUT_SECONDS = 30.0

# Time for a client to take one piece of a response.
PIECE_TIMEOUT_SECONDS = 10.0

INFO_LENGTH = 256
# Offset of `tcpi_snd_wnd` in `struct tcp_info`, since Linux 5.4.
WINDOW_AT = 228
# Offset of `tcpi_bytes_acked`, since Linux 4.1.
ACKED_AT = 120
# Offset of `tcpi_last_ack_recv`, milliseconds since the last ACK of the peer, since Linux 2.4.
HEARD_AT = 56
SCALE_AT = 6
SCALE_BITS = 0x0F


def connected_for(sock: socket.socket) -> float:
    """Seconds since a peer without data has connected; 0 where the kernel does not tell."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_LENGTH)
    except OSError:
        return 0.0
    return struct.unpack_from("=I", info, HEARD_AT)[0] / 1000 if len(info) >= HEARD_AT + 4 else 0.0


def silent(connection: socket.socket) -> bool:
    """Whether a connection has sent nothing and has waited `WAITED` seconds in the accept queue.

    Under a flood such a connection would be evicted before its first byte. Refusing it costs a third of accepting it,
    which keeps the accept queue short for clients that do send.
    """
    try:
        # MSG_PEEK leaves the data for the parser; no data without an error is the peer's FIN.
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return connected_for(connection) >= WAITED
    except OSError:
        return True


class WindowSample(NamedTuple):
    """TCP state of a connection: receive window (None where the kernel does not tell), its unit, bytes sent and not
    acknowledged, bytes acknowledged in total. All in bytes.
    """

    window: int | None
    unit: int
    unacknowledged: int
    acknowledged: int = 0


class ReceiveWindow:
    """The samples of one client. Pure."""

    def __init__(self) -> None:
        self._widest = 0
        self._last = 0
        self._acknowledged = -1
        self._behind = 0

    def __repr__(self) -> str:
        return f"<ReceiveWindow {self._behind} behind>"

    @property
    def lags(self) -> bool:
        """Whether the client seems not to read."""
        return self._behind >= STALLED_CHECKS - 1

    def update(self, seen: WindowSample) -> bool:
        """Add a sample, taken after `piece` or more bytes were sent. False once the client counts as not reading."""
        window = seen.window
        # Smaller changes are noise of the window scale.
        narrower = window is not None and window < self._last and window <= self._widest - MIN_PIECE_BYTES
        stuck = seen.unacknowledged > 0 and seen.acknowledged <= self._acknowledged
        self._behind = self._behind + 1 if narrower or stuck else 0
        self._acknowledged = seen.acknowledged
        if window is not None:
            self._last, self._widest = window, max(self._widest, window)
        return self._behind < STALLED_CHECKS


def piece(seen: WindowSample) -> int:
    """Bytes to send between two samples so that the window of a client that does not read shrinks visibly."""
    return max(MIN_PIECE_BYTES, 2 * seen.unit)


def read_window(file: int) -> WindowSample:
    """Sample a connected TCP socket. Raises `OSError`."""
    sock = socket.socket(fileno=file)
    try:  # `detach` at the end: the descriptor belongs to the transport
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_LENGTH)
    finally:
        sock.detach()
    window = struct.unpack_from("I", info, WINDOW_AT)[0] if len(info) >= WINDOW_AT + 4 else None
    acked = struct.unpack_from("Q", info, ACKED_AT)[0] if len(info) >= ACKED_AT + 8 else 0
    return WindowSample(window, 1 << (info[SCALE_AT] & SCALE_BITS), unacknowledged(file), acked)


def unacknowledged(file: int) -> int:
    """Bytes in the send buffer of a connected TCP socket that are not acknowledged. Raises `OSError`."""
    found: int = struct.unpack("i", fcntl.ioctl(file, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    return found


def cut(transport: asyncio.BaseTransport) -> None:
    """Close a connection now. Unacknowledged data is dropped with an RST: the kernel would keep it for minutes."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError, ValueError):
            if unacknowledged(sock.fileno()):
                own = socket.socket(fileno=sock.fileno())
                try:
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                finally:
                    own.detach()
    cast("asyncio.WriteTransport", transport).abort()


async def send_pieces(
    request: web.Request,
    response: web.StreamResponse,
    pieces: Iterable[bytes],
    between: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Send a whole response in pieces, with `between` awaited after each. A client that takes longer than
    `RESPONSE_TIMEOUT_SECONDS` is disconnected. Raises `ConnectionResetError` then.
    """
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
            await response.prepare(request)
            for piece in pieces:
                await deliver(request, response, piece)
                if between is not None:
                    await between()
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client reads too slowly") from None


async def deliver(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Send a piece. A client that does not take it in time is disconnected. Raises `ConnectionResetError` then."""
    try:
        async with asyncio.timeout(PIECE_TIMEOUT_SECONDS):
            await response.write(piece)
    except TimeoutError:
        if request.transport is not None:
            cut(request.transport)
        raise ConnectionResetError("the client does not read") from None
