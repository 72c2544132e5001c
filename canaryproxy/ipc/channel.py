"""One end of a link: messages over a connected stream socket.

The same on both sides. The meaning of messages is up to `received` and `lost`. The supervisor gives each worker's link
only so much of its time (`TimeShare`): others have their turn in between, and a worker that says too much waits, as
behind any reader that is slow.
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


TURN_SECONDS = 0.01
"""Seconds after which others have their turn, between two messages of a link."""

BURST_MESSAGES = 1.0
"""Seconds that the messages of a link may take at once, of those that it did not take before."""

LOOP_SHARE = 1 / 3
"""Of the time, that the messages of one link may take for long. A worker with a thousand busy routes takes 1/30. What
they take is counted in seconds of processor time: while this process is stopped, or gets none, no worker took any."""

MAX_PAUSE_SECONDS = 0.5
"""Seconds that a link waits at a time, at most: who has to acknowledge a table, or to be heard of, has but seconds."""


class TimeShare:
    """How much of our processor time the messages of one link may take. `now` is a clock that only goes forward."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = BURST_MESSAGES

    def __repr__(self) -> str:
        return f"<TimeShare: {self._left:.3f} s left>"

    def spend(self, seconds: float, now: float) -> float:
        """So much was taken until now; returns how long to wait before more is."""
        self._left = min(BURST_MESSAGES, self._left + (now - self._at) * LOOP_SHARE) - seconds
        self._at = now
        return max(-self._left / LOOP_SHARE, 0.0)


class Channel(asyncio.Protocol):
    """`received` gets every message, `lost` is called once when the other end is gone or not understood.

    Messages are of the kinds and lengths of `direction`. `refuse` is called with a sentence where something else came,
    and the link is cut; where it is None that is only logged. `fair`: messages get no more than a share of our time.
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
        self._share = TimeShare(time.perf_counter()) if fair else None
        self._held = False
        self._waiting: list[bytes] = []
        self._over = False
        self.congested = False

    def __repr__(self) -> str:
        return f"<Channel {'congested' if self.congested else 'clear'}>"

    async def connect(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Take over a connected socket.

        It is the loop's from here on. Were the object to keep its number, a link that is lost at once would see it
        closed twice, and the second time it may be another's.
        """
        self._loop = loop
        try:
            await loop.create_unix_connection(lambda: self, sock=sock)
        finally:
            sock.detach()

    def send(self, message: Message) -> None:
        """Have a message delivered, after those before it. Never blocks; nothing happens once the link is lost."""
        for data in frames(message):
            if self._transport is None:
                self._waiting.append(data)
            elif not self._transport.is_closing():
                self._transport.write(data)

    def close(self) -> None:
        """End the link once everything was delivered."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the link now, or as soon as it is connected."""
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has the socket now."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)
        for data in self._waiting:
            self._transport.write(data)
        self._waiting.clear()
        if self._over:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes from the other end."""
        self._decoder.take(data)
        if not self._held:
            self._follow()

    def _follow(self) -> None:
        """Hand on what is complete, until it is others' turn."""
        began, handed = time.perf_counter(), False
        worked = 0.0 if self._share is None else time.thread_time()
        try:
            for message in self._decoder.messages():
                handed = True
                self._received(message)
                if self._over:
                    return
                if self._share is not None and time.perf_counter() - began > TURN_SECONDS:
                    break
        except ProtocolError as garbled:
            self.abort()
            self._refuse(str(garbled))
            return
        if self._share is not None and handed:
            now = time.perf_counter()
            pause = self._share.spend(time.thread_time() - worked, now)
            self._hold(min(pause, MAX_PAUSE_SECONDS), turned=now - began > TURN_SECONDS)

    def _hold(self, pause: float, *, turned: bool) -> None:
        """Go on after a pause, or in the loop's next turn; at once where neither is due."""
        if self._loop is None or self._transport is None or not (pause or turned):
            return
        self._held = True
        self._transport.pause_reading()
        self._loop.call_later(pause, self._go_on)

    def _go_on(self) -> None:
        self._held = False
        if self._transport is not None and not self._over and not self._transport.is_closing():
            self._transport.resume_reading()
            self._follow()

    def pause_writing(self) -> None:
        """The other end does not read as fast as we write."""
        self.congested = True

    def resume_writing(self) -> None:
        """Everything was taken."""
        self.congested = False

    def connection_lost(self, _: Exception | None) -> None:
        """The other end is gone."""
        self._lost()


def log_protocol_error(words: str) -> None:
    """Say why a link is cut."""
    log.error("protocol error on the IPC channel, closing it: %s", words)
