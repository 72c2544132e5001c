"""After an upgrade: two connections, joined. Bytes pass as they come, both ways.

Each side reads only as fast as the other one writes. An end of one direction is passed on where the
transport can (TLS cannot close one direction, so there it ends both); a reset is passed on as a cut.
Counted once, at the handshake; what is said later is the application's own affair.
"""

import asyncio
from typing import Protocol

from canaryproxy.dataplane.buffers import WATER, Buffers
from canaryproxy.dataplane.transports import FastTransport, reset
from canaryproxy.dataplane.upstream_h1 import reason_of
from canaryproxy.model.decision import Decision

SIDES = 2


class TunnelEnd(asyncio.Protocol):
    """One end of a tunnel. `ended`: its peer sends no more; `blocked`: we do not read from it."""

    __slots__ = ("_backlog", "blocked", "ended", "other", "received", "transport", "tunnel")

    other: "TunnelEnd"

    def __init__(self, tunnel: "Tunnel", transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.ended = False
        self.blocked = False
        self.received = 0
        self._backlog = 0

    def data_received(self, data: bytes) -> None:
        """Bytes from this side for the other."""
        self.tunnel.mark_active()
        self.received += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """This side has said all it had to say; it may still listen."""
        self.ended = True
        self.tunnel.mark_active()
        other = self.other
        if other.ended or not other.transport.can_write_eof() or not self.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """This side is gone, so the other is of no use; after a clean end it gets what is still queued for it."""
        self.ended = True
        self.count(0)
        if error is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()
            if self is self.tunnel.up:
                self.tunnel.exchange.tunnel_broke(reason_of(error))
        self.tunnel.lost()

    def pause_writing(self) -> None:
        """This side does not take what the other sends."""
        if not isinstance(self.transport, FastTransport):
            self.count(self.transport.get_write_buffer_size())
        self.other.block(True)

    def resume_writing(self) -> None:
        """It caught up."""
        self.count(0)
        self.other.block(False)

    def count(self, backlog: int) -> None:
        """The loop's transports queue so much; our own count for themselves."""
        self.tunnel.buffers.add(backlog - self._backlog)
        self._backlog = backlog

    def weight(self) -> int:
        """Bytes queued for this side."""
        if isinstance(self.transport, FastTransport):
            return int(self.transport.held())  # type: ignore[attr-defined]
        return self._backlog

    def block(self, blocked: bool) -> None:
        """Stop or go on reading from this side."""
        if blocked == self.blocked or self.transport.is_closing() or self.ended:
            return
        self.blocked = blocked
        if blocked:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


class TunnelOwner(Protocol):
    """The exchange that joined the two connections."""

    decision: Decision

    @property
    def down(self) -> object:
        """The client's stream."""

    @property
    def target(self) -> Decision:
        """Where the other connection leads."""

    def tunnel_ended(self, received: int, sent: int) -> None:
        """Both connections are gone; the bytes that the client sent and got."""

    def tunnel_broke(self, why: str) -> None:
        """The endpoint reset its connection."""


class TunnelClock(Protocol):
    """How the worker tells the time: `tick` is about now, in monotonic seconds."""

    tick: float


class TunnelHost(Protocol):
    """The worker that the tunnel runs in."""

    buffers: Buffers

    @property
    def clock(self) -> TunnelClock:
        """The worker's."""

    def end_tunnel(self, tunnel: "Tunnel") -> None:
        """It is gone."""


class Tunnel:
    """Two connections that one exchange joined. `last_active` is when a byte last moved, in monotonic seconds."""

    __slots__ = ("_gone", "_plane", "buffers", "decision", "down", "exchange", "last_active", "up")

    def __init__(
        self, plane: TunnelHost, exchange: TunnelOwner, down: asyncio.Transport, up: asyncio.Transport
    ) -> None:
        self.decision = exchange.decision
        self.exchange = exchange
        self.last_active = plane.clock.tick
        self.buffers = plane.buffers
        self._plane = plane
        self._gone = 0
        self.down = TunnelEnd(self, down)
        self.up = TunnelEnd(self, up)
        self.down.other, self.up.other = self.up, self.down

    def __repr__(self) -> str:
        return f"<Tunnel {self.decision!r}: {self.down.received} bytes up, {self.up.received} down>"

    def start(self, early_down: bytes, early_up: bytes, *, ended: bool, paused: bool) -> None:
        """Join the connections. The early bytes came with the handshake; `ended`: the client sends no more,
        `paused`: it does not take what it was sent so far.
        """
        self.up.block(paused)
        for side in (self.down, self.up):
            side.transport.set_write_buffer_limits(WATER)
            side.transport.set_protocol(side)
        if early_down:
            self.down.data_received(early_down)
        if early_up:
            self.up.data_received(early_up)
        if ended and not self.down.eof_received():
            self.down.transport.close()

    def mark_active(self) -> None:
        """Something moved."""
        self.last_active = self._plane.clock.tick

    def unread(self) -> list[TunnelEnd]:
        """The sides we do not read from, where a reset would go unnoticed."""
        unread = [side for side in (self.down, self.up) if side.blocked or side.ended]
        return [side for side in unread if not side.transport.is_closing()]

    def abort(self) -> None:
        """End it now, both ways."""
        self.down.transport.abort()
        self.up.transport.abort()

    def weight(self) -> int:
        """Bytes that are on their way here, both ways."""
        return self.down.weight() + self.up.weight()

    def progress(self) -> tuple[object, int]:
        """What has passed so far."""
        return self, self.down.received + self.up.received - self.weight()

    def shed(self) -> None:
        """End it now, both ways, and hold nothing for it any more."""
        for side in (self.down, self.up):
            reset(side.transport)
            side.count(0)

    def lost(self) -> None:
        """One side is gone; the second one ends the exchange."""
        self._gone += 1
        if self._gone == SIDES:
            self._plane.end_tunnel(self)
            self.exchange.tunnel_ended(self.down.received, self.up.received)
