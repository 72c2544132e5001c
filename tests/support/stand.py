"""A data plane on a stand: one client's connection, the endpoints' connections and the time are moved by hand.

No sockets, no waiting: the loop's clock is the test's. What happens after ten minutes is known at once.
"""

import asyncio
import dataclasses
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.sockets import Sockets
from canaryproxy.dataplane.transports import ConnectionProtocol
from canaryproxy.model.report import Delta
from canaryproxy.model.settings import PlaneSettings, Timeouts
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version

STEP = 0.05
NEVER = 100_000.0
"""Seconds: a clock that is not meant."""

STABLE, CANARY = 1, 2
"""Ports that tell the versions apart."""


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1_000.0
        super().__init__()

    def time(self) -> float:
        return self.at

    def turn(self, times: int = 4) -> None:
        """Do what is due now."""
        for _ in range(times):
            self.call_soon(self.stop)
            self.run_forever()


class Wire:
    """A transport that keeps what is written, and takes it from us only where the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        self._loop = loop
        self.protocol = protocol
        self.ends = socket.socketpair()
        self.written = b""
        self.queued = 0
        self.reading = True
        self.eof = self.closing = self.lost = self.paused = False

    def write(self, data: bytes) -> None:
        """Taken, or queued where the peer is stuck."""
        if not (self.closing or self.eof):
            self.written += data
            if self.paused:
                self.queued += len(data)

    def writelines(self, pieces: list[bytes]) -> None:
        """One behind the other."""
        for piece in pieces:
            self.write(piece)

    def stick(self, queued: int = 200_000) -> None:
        """The peer takes nothing any more."""
        self.paused, self.queued = True, queued
        self.protocol.pause_writing()

    def go_on(self) -> None:
        """The peer has taken everything."""
        self.paused, self.queued = False, 0
        self.protocol.resume_writing()

    def set_write_buffer_limits(self, *_: object, **__: object) -> None:
        """The test says when it is full."""

    def get_write_buffer_size(self) -> int:
        """What the peer did not take."""
        return self.queued

    def get_extra_info(self, name: str, default: object = None) -> object:
        """A socket that can be polled."""
        return {"socket": self.ends[0], "peername": ("192.0.2.9", 1)}.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """Another one hears of it."""
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Not read."""
        self.reading = False

    def resume_reading(self) -> None:
        """Read."""
        self.reading = True

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """Our FIN."""
        self.eof = True

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self.closing

    def close(self) -> None:
        """Ends when everything queued has left."""
        self.closing = True
        if not self.queued:
            self.abort()

    def abort(self) -> None:
        """Ends."""
        self.closing = True
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self.protocol.connection_lost, None)


@dataclasses.dataclass
class Dialled:
    """A connection that is being opened."""

    port: int
    hearer: ConnectionProtocol
    future: asyncio.Future[None]


class Dialler(Sockets):
    """Opens connections when the test says so."""

    __slots__ = ("dialled",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.dialled: list[Dialled] = []

    async def connect(
        self, host: str, port: int, protocol: ConnectionProtocol, context: object, name: str | None
    ) -> None:
        """Wait for the test."""
        one = Dialled(port, protocol, self.loop.create_future())
        self.dialled.append(one)
        await one.future


class Stand:
    """All of it. Every clock stands at NEVER unless it is given."""

    def __init__(self, clocks: dict[str, float], **route: Any) -> None:
        self.loop = Clock()
        self.clocks = clocks
        self.draining: asyncio.Task[int] | None = None
        names = {field.name for field in dataclasses.fields(Timeouts)}
        given = {name: clocks.get(name, NEVER) for name in names}
        if "abort_drain" not in clocks:
            given["abort_drain"] = None  # type: ignore[assignment]
        connect, response, pool = (clocks.get(name, NEVER) for name in ("connect", "response", "pool"))
        stable = Version("stable", (Endpoint("192.0.2.1", STABLE),), connect, response, pool)
        canary = Version("canary", (Endpoint("192.0.2.1", CANARY),), connect, response, pool)
        shown: dict[str, Any] = {"weight": 10_000, "fallback": frozenset()} | route
        self.route = Route("shop", stable, canary, **shown)
        self.lines: list[Any] = []
        self.plane = DataPlane(
            PlaneSettings(timeouts=Timeouts(**given)),
            loop=self.loop,
            identity="stand",
            now=self.loop.time,
            wall_clock=self.loop.time,
            rng=lambda: 0.5,
            access_log=self.lines.append,
        )
        self.plane.pools.sockets.close()
        self.dialler = self.plane.pools.sockets = self.plane.mirrors.sockets = Dialler(self.loop)
        self.generation = 0
        self.publish()
        self.down = ClientConnection(self.plane)
        self.client = Wire(self.loop, self.down)
        self.wires = [self.client]
        self.down.connection_made(cast("asyncio.Transport", self.client))
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.codes: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.rescues: Counter[str] = Counter()

    def publish(self, **changes: Any) -> None:
        """A new table."""
        self.generation += 1
        self.route = dataclasses.replace(self.route, **changes)
        self.plane.publish(RoutingTable(self.generation, (self.route,)))

    def say(self, data: bytes) -> None:
        """The client sends."""
        self.down.data_received(data)
        self.loop.turn()

    def fin(self) -> None:
        """The client's FIN."""
        if not self.down.eof_received():
            self.client.close()
        self.loop.turn()

    def open(self, port: int = CANARY) -> Wire:
        """An endpoint's connection opens."""
        (one,) = [one for one in self.dialler.dialled if one.port == port and not one.future.done()]
        wire = Wire(self.loop, one.hearer)
        self.wires.append(wire)
        one.hearer.connection_made(cast("asyncio.Transport", wire))
        one.future.set_result(None)
        self.loop.turn()
        return wire

    def refuse(self, error: Exception | None = None) -> None:
        """It does not open."""
        (one,) = [one for one in self.dialler.dialled if not one.future.done()]
        one.future.set_exception(error or ConnectionRefusedError(111, "Connection refused"))
        self.loop.turn()

    def hear(self, wire: Wire, data: bytes) -> None:
        """An endpoint sends."""
        wire.protocol.data_received(data)
        self.loop.turn()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.turn()
        end = self.loop.at + seconds
        while self.loop.at < end - STEP / 2:
            self.loop.at += STEP
            self.loop.turn(2)
        self.loop.turn()

    def failures(self, port: int = CANARY) -> int:
        """What is held against an endpoint."""
        pools = [pool for endpoint, pool in self.plane.pools.by_endpoint.items() if endpoint.port == port]
        return sum(pool.ejection.failures for pool in pools)

    def count(self) -> Delta:
        """Add up what was counted since."""
        delta = self.plane.deltas()
        self.refused.update(delta.refused)
        for cell in delta.cells:
            self.outcomes.update({(cell.key.version, str(name)): count for name, count in cell.outcomes.items()})
            self.codes.update(dict(cell.codes))
            self.rescues.update(dict(cell.rescues))
        return delta


@contextmanager
def stand(clocks: dict[str, float] | None = None, **route: Any) -> Iterator[Stand]:
    """A stand that is taken down at the end."""
    made = Stand(clocks or {}, **route)
    try:
        yield made
    finally:
        if made.draining is not None:
            made.draining.cancel()
        made.plane.abort()
        made.loop.turn()
        for one in made.dialler.dialled:
            one.future.cancel()
        made.loop.turn()
        for wire in made.wires:
            for end in wire.ends:
                end.close()
        made.loop.close()
