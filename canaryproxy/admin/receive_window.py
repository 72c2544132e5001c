"""Whether a client reads a long answer, and whether it has said anything yet, by what TCP says of its end.

Small pieces vanish in the buffers of a client that does not read, so writes succeed for hours. But its receive window
narrows with every piece, while that of a client which reads is as wide again at the next look.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import NamedTuple, cast

STALLED_CHECKS = 3
"""Looks in a row at which a client has taken nothing until it counts as one that does not read."""

MIN_PIECE_BYTES = 4096
"""Bytes that are sent between two looks, at least; more where the window is said in larger units (RFC 7323)."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: a close leaves nothing behind in the kernel."""

WAITED = 0.008
"""Seconds after which one that has connected can have sent something: that many that wait are a long queue."""

INFO_LENGTH = 256
WINDOW_AT = 228
"""Where `struct tcp_info` has `tcpi_snd_wnd`, since Linux 5.4."""
ACKED_AT = 120
"""Where it has `tcpi_bytes_acked`, since Linux 4.1."""
HEARD_AT = 56
"""Where it has `tcpi_last_ack_recv`, milliseconds since the peer acknowledged something, since Linux 2.4."""
SCALE_AT = 6
SCALE_BITS = 0x0F


def connected_for(sock: socket.socket) -> float:
    """Seconds since a peer that has sent nothing has connected; 0 where the system does not say."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_LENGTH)
    except OSError:
        return 0.0
    return struct.unpack_from("=I", info, HEARD_AT)[0] / 1000 if len(info) >= HEARD_AT + 4 else 0.0


def silent(connection: socket.socket) -> bool:
    """Whether it has sent nothing, and has waited `WAITED` in the queue of the kernel. Where all places change hands
    within a moment, it would have to give way before it is heard: to refuse it costs a third of letting it in, and so
    that queue, in which those wait who have something to say, does not overflow.
    """
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return connected_for(connection) >= WAITED
    except OSError:
        return True


class WindowSample(NamedTuple):
    """Of a connection: bytes that it would take (None where the system does not say), in which unit that is said, bytes
    that it has been sent and has not acknowledged, and all that it has acknowledged.
    """

    window: int | None
    unit: int
    unacknowledged: int
    acknowledged: int = 0


class ReceiveWindow:
    """What was seen of one client, look by look. Pure."""

    def __init__(self) -> None:
        self._widest = 0
        self._last = 0
        self._acknowledged = -1
        self._behind = 0

    def __repr__(self) -> str:
        return f"<ReceiveWindow {self._behind} behind>"

    @property
    def lags(self) -> bool:
        """Whether it looks as if it did not read."""
        return self._behind >= STALLED_CHECKS - 1

    def update(self, seen: WindowSample) -> bool:
        """Whether it reads, as far as is known now. At least a `piece` has been sent since the last look."""
        window = seen.window
        narrower = window is not None and window < self._last and window <= self._widest - MIN_PIECE_BYTES
        stuck = seen.unacknowledged > 0 and seen.acknowledged <= self._acknowledged
        self._behind = self._behind + 1 if narrower or stuck else 0
        self._acknowledged = seen.acknowledged
        if window is not None:
            self._last, self._widest = window, max(self._widest, window)
        return self._behind < STALLED_CHECKS


def piece(seen: WindowSample) -> int:
    """How many bytes between two looks narrow the window of a client that does not read so that it shows."""
    return max(MIN_PIECE_BYTES, 2 * seen.unit)


def read_window(file: int) -> WindowSample:
    """Of a connected TCP socket. Raises `OSError`."""
    sock = socket.socket(fileno=file)
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_LENGTH)
    finally:
        sock.detach()
    window = struct.unpack_from("I", info, WINDOW_AT)[0] if len(info) >= WINDOW_AT + 4 else None
    acked = struct.unpack_from("Q", info, ACKED_AT)[0] if len(info) >= ACKED_AT + 8 else 0
    return WindowSample(window, 1 << (info[SCALE_AT] & SCALE_BITS), unacknowledged(file), acked)


def unacknowledged(file: int) -> int:
    """Bytes that the client of a connected TCP socket has not acknowledged. Raises `OSError`."""
    found: int = struct.unpack("i", fcntl.ioctl(file, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    return found


def cut(transport: asyncio.BaseTransport) -> None:
    """End a connection now. Where its client has not taken everything the kernel forgets that, too, which it would keep
    for minutes otherwise. One that has ended already has no socket any more.
    """
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
