"""One end of an IPC channel: messages over a connected stream socket, the same on both sides.

The supervisor limits the time spent on the messages of each worker (`TimeShare`): other work runs in between, and a
worker that sends too much is slowed down by backpressure.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import cast

from canaryproxy.ipc.codec import ANY, Decoder, Direction, ProtocolError, frames
from canaryproxy.ipc.messages import Message

log = logging.getLogger("canaryproxy")

# Seconds of work on one channel after which the event loop runs other work.
TURN_SECONDS = 0.01

# Seconds of processor time that a channel may save up and use at once, as after a start or an outage.
BURST_MESSAGES = 1.0

# Share of the time that one channel may take in the long run; a worker with a thousand busy routes needs 1/30. Counted
# in processor time, so a stopped or starved process charges no worker.
LOOP_SHARE = 1 / 3

# Longest pause of a channel in seconds: acknowledgements and reports are awaited for a few seconds only.
MAX_PAUSE_SECONDS = 0.5


class TimeShare:
    """The processor time that one channel may still use. `now` is read from a monotonic clock."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = BURST_MESSAGES

    def __repr__(self) -> str:
        return f"<TimeShare: {self._left:.3f} s left>"

    def spend(self, seconds: float, now: float) -> float:
        """Charge `seconds` used until `now`; returns the seconds to wait before the next message."""
        self._left = min(BURST_MESSAGES, self._left + (now - self._at) * LOOP_SHARE) - seconds
        self._at = now
        return max(-self._left / LOOP_SHARE, 0.0)


class Channel(asyncio.Protocol):
    """`received` gets every message; `lost` is called once when the channel has closed.

    Messages must have the kinds and lengths of `direction`. After a protocol error the channel is closed and `refuse`
    is called with a sentence; by default the error is logged. `fair`: the channel's `TimeShare` is enforced.
    """

    _transport: asyncio.Transport | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        received: Callable[[Message], None],
        lost: Callable[[], None],
        direction: Direction = ANY,
        *,
        refuse: Callable[[str], None] | None = None,
        fair: bool = False,
    ) -> None:
        self._received = received
        self._lost = lost
        self._decoder = Decoder(direction)
        self._refuse = refuse or log_protocol_error
        self._time_share = TimeShare(time.perf_counter()) if fair else None
        self._paused = False
        self._waiting: list[bytes] = []
        self._closed = False
        self.congested = False

    def __repr__(self) -> str:
        return f"<Channel {'congested' if self.congested else 'clear'}>"

    async def connect(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Take over a connected socket; the event loop owns its descriptor from then on."""
        self._loop = loop
        try:
            await loop.create_unix_connection(lambda: self, sock=sock)
        finally:
            # Otherwise the descriptor would be closed twice, the second time perhaps after it was reused.
            sock.detach()

    def send(self, message: Message) -> None:
        """Send a message, in order. Never blocks; ignored once the channel has closed."""
        for data in frames(message):
            if self._transport is None:
                self._waiting.append(data)
            elif not self._transport.is_closing():
                self._transport.write(data)

    def close(self) -> None:
        """Close the channel after everything was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the channel now, or as soon as it is connected."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has the socket now."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)
        for data in self._waiting:
            self._transport.write(data)
        self._waiting.clear()
        if self._closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the other end."""
        self._decoder.take(data)
        if not self._paused:
            self._dispatch()

    def _dispatch(self) -> None:
        """Pass on complete messages, until the turn of other work."""
        began, handed = time.perf_counter(), False
        worked = 0.0 if self._time_share is None else time.thread_time()
        try:
            for message in self._decoder.messages():
                handed = True
                self._received(message)
                if self._closed:
                    return
                if self._time_share is not None and time.perf_counter() - began > TURN_SECONDS:
                    break
        except ProtocolError as error:
            self.abort()
            self._refuse(str(error))
            return
        if self._time_share is not None and handed:
            now = time.perf_counter()
            pause = self._time_share.spend(time.thread_time() - worked, now)
            self._pause(min(pause, MAX_PAUSE_SECONDS), turned=now - began > TURN_SECONDS)

    def _pause(self, pause: float, *, turned: bool) -> None:
        """Stop reading for a pause, or until the loop's next turn."""
        if self._loop is None or self._transport is None or not (pause or turned):
            return
        self._paused = True
        self._transport.pause_reading()
        self._loop.call_later(pause, self._resume)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._closed and not self._transport.is_closing():
            self._transport.resume_reading()
            self._dispatch()

    def pause_writing(self) -> None:
        """The other end reads more slowly than we write."""
        self.congested = True

    def resume_writing(self) -> None:
        """The other end has caught up."""
        self.congested = False

    def connection_lost(self, _: Exception | None) -> None:
        """The connection has closed."""
        self._lost()


def log_protocol_error(words: str) -> None:
    """Log the reason why a channel is closed."""
    log.error("protocol error on the IPC channel, closing it: %s", words)
