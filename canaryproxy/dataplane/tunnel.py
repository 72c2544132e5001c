"""Two connections joined after an upgrade. Bytes are passed on as they arrive, in both directions.

Each side is read only as fast as the other one is written. The end of one direction is passed on if the transport can
(TLS cannot close one direction, so there it ends both); a reset is passed on as an abort. A tunnel is counted once, at
the handshake, whatever happens in it.
"""

import asyncio
from typing import Protocol

from canaryproxy.dataplane.buffers import WATER, Buffers
from canaryproxy.dataplane.transports import FastTransport, reset
from canaryproxy.dataplane.upstream_h1 import reason_of
from canaryproxy.model.decision import Decision

SIDES = 2


class TunnelEnd(asyncio.Protocol):
    """One end of a tunnel. `ended`: its peer sends no more; `blocked`: it is not read."""

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
        """This side sends no more; it may still read."""
        self.ended = True
        self.tunnel.mark_active()
        other = self.other
        # TLS transports cannot close one direction only.
        if other.ended or not other.transport.can_write_eof() or not self.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Closed, so the other side is closed too; after an orderly end it still gets what is queued for it."""
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
        """This side does not read what the other sends."""
        if not isinstance(self.transport, FastTransport):
            self.count(self.transport.get_write_buffer_size())
        self.other.block(True)

    def resume_writing(self) -> None:
        """This side has read most of what was queued."""
        self.count(0)
        self.other.block(False)

    def count(self, backlog: int) -> None:
        """Count the bytes queued by the loop's transport; our own transports count theirs."""
        self.tunnel.buffers.add(backlog - self._backlog)
        self._backlog = backlog

    def weight(self) -> int:
        """Bytes queued for this side."""
        if isinstance(self.transport, FastTransport):
            return int(self.transport.held())  # type: ignore[attr-defined]
        return self._backlog

    def block(self, blocked: bool) -> None:
        """Pause or resume reading from this side."""
        if blocked == self.blocked or self.transport.is_closing() or self.ended:
            return
        self.blocked = blocked
        if blocked:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


class _TunnelOwner(Protocol):
    """The exchange that became the tunnel; documented at `Exchange`."""

    decision: Decision

    @property
    def down(self) -> object: ...
    @property
    def target(self) -> Decision: ...
    def tunnel_ended(self, received: int, sent: int) -> None: ...
    def tunnel_broke(self, why: str) -> None: ...


class _TickingClock(Protocol):
    tick: float


class _TunnelHost(Protocol):
    """The worker's context; documented at `WorkerContext`."""

    buffers: Buffers

    @property
    def clock(self) -> _TickingClock: ...
    def end_tunnel(self, tunnel: "Tunnel") -> None: ...


class Tunnel:
    """Two connections that belonged to one exchange. `last_active` is when a byte last moved, in monotonic seconds."""

    __slots__ = ("_gone", "_plane", "buffers", "decision", "down", "exchange", "last_active", "up")

    def __init__(
        self, plane: _TunnelHost, exchange: _TunnelOwner, down: asyncio.Transport, up: asyncio.Transport
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
        """Join the connections. The early bytes arrived with the handshake; `ended`: the client sends no more,
        `paused`: it does not read.
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
        """Bytes have moved."""
        self.last_active = self._plane.clock.tick

    def unread(self) -> list[TunnelEnd]:
        """The sides that are not read, where a reset would go unnoticed."""
        unread = [side for side in (self.down, self.up) if side.blocked or side.ended]
        return [side for side in unread if not side.transport.is_closing()]

    def abort(self) -> None:
        """Abort both connections."""
        self.down.transport.abort()
        self.up.transport.abort()

    def weight(self) -> int:
        """Bytes queued, in both directions."""
        return self.down.weight() + self.up.weight()

    def progress(self) -> tuple[object, int]:
        """The tunnel, and the bytes that have passed through it."""
        return self, self.down.received + self.up.received - self.weight()

    def shed(self) -> None:
        """Memory is short: reset both connections, and hold nothing for them any more."""
        for side in (self.down, self.up):
            reset(side.transport)
            side.count(0)

    def lost(self) -> None:
        """One side is closed; the second one ends the exchange."""
        self._gone += 1
        if self._gone == SIDES:
            self._plane.end_tunnel(self)
            self.exchange.tunnel_ended(self.down.received, self.up.received)
