"""One end of a link: messages over a connected stream socket.

The same on both sides. Who is told what is up to `received` and `lost`.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from canaryproxy.link.codec import Decoder, Garbled, encode
from canaryproxy.link.messages import Message

log = logging.getLogger("canaryproxy")


class Wire(asyncio.Protocol):
    """`received` gets every message, `lost` is called once when the other end is gone or not understood."""

    _transport: asyncio.Transport | None = None

    def __init__(self, received: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._decoder = Decoder()
        self._waiting: list[bytes] = []
        self._over = False
        self.congested = False

    def __repr__(self) -> str:
        return f"<Wire {'congested' if self.congested else 'clear'}>"

    async def connect(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        """Take over a connected socket.

        It is the loop's from here on. Were the object to keep its number, a link that is lost at once would see it
        closed twice, and the second time it may be another's.
        """
        try:
            await loop.create_unix_connection(lambda: self, sock=sock)
        finally:
            sock.detach()

    def send(self, message: Message) -> None:
        """Have a message delivered, after those before it. Never blocks; nothing happens once the link is lost."""
        data = encode(message)
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
        try:
            for message in self._decoder.feed(data):
                self._received(message)
        except Garbled as garbled:
            log.error("the link is not understood and is cut: %s", garbled)
            if self._transport is not None:
                self._transport.abort()

    def pause_writing(self) -> None:
        """The other end does not read as fast as we write."""
        self.congested = True

    def resume_writing(self) -> None:
        """Everything was taken."""
        self.congested = False

    def connection_lost(self, _: Exception | None) -> None:
        """The other end is gone."""
        self._lost()
