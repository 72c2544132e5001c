"""The two seams of an exchange, played: a client and an endpoint that keep what they are given, without any
protocol.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from canaryproxy.dataplane.client_stream import ClientStream
from canaryproxy.dataplane.exchange_state import FINAL, INTERIM, NOTHING
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.upstream_stream import ResponseHandler, UpstreamStream
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version


class Client(ClientStream):
    """`events` is what it was given, in the order of that."""

    def __init__(self, plane: DataPlane) -> None:
        self.plane = plane
        self.peer = plane.client_for("192.0.2.1")
        self.paused = self.half_closed = False
        self.delivered = NOTHING
        self.events: list[tuple[Any, ...]] = []

    def interim(self, head: ResponseHead) -> None:
        self.delivered = INTERIM
        self.events.append(("interim", head.status))

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        self.delivered = FINAL
        self.events.append(("whole", head.status, lines, body))

    def head(self, head: ResponseHead, lines: bytes) -> None:
        self.events.append(("head", head.status, lines))

    def data(self, piece: bytes) -> None:
        self.events.append(("data", piece))

    def end(self, trailers: tuple[bytes, ...]) -> None:
        self.delivered = FINAL
        self.events.append(("end", trailers))

    def flush(self) -> None:
        self.delivered = FINAL
        self.events.append(("flush",))

    def forget(self) -> None:
        self.events.append(("forget",))

    def complete(self) -> None:
        self.events.append(("complete",))

    def answer(self, failure: Failure, lines: bytes, close: bool) -> None:
        self.events.append(("answer", failure, lines, close))

    def block(self) -> None:
        self.events.append(("block",))

    def unblock(self) -> None:
        pass

    def rearm(self) -> None:
        pass


class Endpointed(UpstreamStream):
    """A stream to one endpoint; `events` is what it was asked."""

    def __init__(self) -> None:
        self.alive = True
        self.answered = self.blocked = self.reused = False
        self.exchange = None
        self.expires = 0.0
        self.events: list[tuple[Any, ...]] = []

    def ask(
        self,
        handler: ResponseHandler,
        head: RequestHead,
        lines: tuple[bytes, bytes, bytes, bytes],
        pieces: list[bytes] | None,
        trailers: tuple[bytes, ...] | None,
    ) -> None:
        self.exchange, self.answered = handler, False
        self.events.append(("ask", head.method, lines, list(pieces or ()), trailers))

    def data(self, piece: bytes) -> None:
        self.events.append(("data", piece))

    def end(self, trailers: tuple[bytes, ...]) -> None:
        self.events.append(("end", trailers))

    def pause(self) -> None:
        self.events.append(("pause",))

    def resume(self) -> None:
        self.events.append(("resume",))

    def queued(self) -> int:
        return 0

    def clean(self) -> bool:
        return self.alive

    def surplus(self) -> int:
        return 0

    def weight(self) -> int:
        return 0

    def abort(self) -> None:
        self.alive = False
        self.exchange = None
        self.events.append(("abort",))


class Stage:
    """A worker's plane, whose endpoints are played: each has one idle stream."""

    def __init__(self, plane: DataPlane, route: Route) -> None:
        self.plane = plane
        self.client = Client(plane)
        self.streams: dict[Endpoint, Endpointed] = {}
        entry = plane.routing.index.by_name[route.name]
        for decision in (*entry.stable.decisions(), *entry.canary.decisions()):
            endpoint = decision.endpoint
            if endpoint is not None and endpoint not in self.streams:
                stream = self.streams[endpoint] = Endpointed()
                plane.pools.of(decision).release(stream, float("inf"))
                stream.reused = False

    def asked(self) -> list[Endpointed]:
        """The streams that were asked for something."""
        return [stream for stream in self.streams.values() if stream.events]


@contextmanager
def stage(*ports: int, **route: Any) -> Iterator[Stage]:
    """Stable at these ports, and whatever else is said of the route."""
    stable = Version("stable", tuple(Endpoint("192.0.2.9", port) for port in ports or (1,)))
    shop = Route("shop", stable, **route)
    loop = asyncio.new_event_loop()
    plane = DataPlane(PlaneSettings(), loop=loop, identity="canaryproxy-test", rng=random.Random(3).random)
    try:
        plane.publish(RoutingTable(1, (shop,)))
        yield Stage(plane, shop)
    finally:
        plane.abort()
        loop.close()
