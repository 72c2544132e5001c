"""A data plane between a scripted origin and raw clients, on loopback, in the test's own loop (uvloop)."""

import asyncio
import contextlib
import dataclasses
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from canaryproxy.dataplane.connection_count import SharedConnectionCount
from canaryproxy.dataplane.evictable_connection import EvictableConnection
from canaryproxy.dataplane.eviction import ConnectionSlots
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.listener import Listener
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.pool import Pool
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.report import Delta
from canaryproxy.model.settings import Limits, Network, PlaneSettings, Timeouts
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version
from canaryproxy.processes.listen import listen_on
from canaryproxy.telemetry.record.access_log import AccessLogEntry

PATIENCE = 60.0
"""Seconds after which a test that waits for something fails."""

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(test: Coroutine[Any, Any, None], patience: float = PATIENCE * 2) -> None:
    """Run a test on uvloop, bounded in time."""

    async def bounded() -> None:
        async with asyncio.timeout(patience):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A message head with its empty line."""
    return await reader.readuntil(b"\r\n\r\n")


class Origin:
    """A server that behaves as configured, and remembers the heads that `answering` read."""

    def __init__(self) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self.closed = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.behaviour: Behaviour = self.answering()

    def answering(self, response: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> Behaviour:
        """Answer every request without a body alike, for as long as the connection lasts."""

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                self.heads.append(await read_head(reader))
                writer.write(response)

        return behave

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.behaviour(reader, writer)
        self.closed.set()
        writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Cluster:
    """The proxy under test, its origins, and what it counted."""

    def __init__(self, plane: DataPlane, port: int, stable: Origin, canary: Origin, table: RoutingTable) -> None:
        self.plane = plane
        self.port = port
        self.stable = stable
        self.canary = canary
        self.table = table
        self.outcomes: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self.starts = 0
        self.stable_port = self.canary_port = 0
        self.rescues: Counter[str] = Counter()
        self.outcomes_of: Counter[tuple[str, str]] = Counter()
        self.ejections: Counter[str] = Counter()
        self.clients: list[asyncio.StreamWriter] = []

    @property
    def connections(self) -> list[EvictableConnection]:
        """The clients' connections that the plane serves."""
        return list(self.plane._connections)

    @property
    def exchanges(self) -> list[Exchange]:
        """What is under way on them."""
        return [one.exchange for one in self.connections if one.exchange is not None]

    @property
    def pools(self) -> list[Pool]:
        """The pools of connections to endpoints."""
        return list(self.plane.pools.by_endpoint.values())

    @property
    def slots(self) -> ConnectionSlots:
        """The places that clients take."""
        return self.plane._slots

    @property
    def listeners(self) -> list[Listener]:
        """The first is the one at `port`."""
        return self.plane._listeners

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        self.clients.append(writer)
        return reader, writer

    async def ask(self, request: bytes) -> bytes:
        """Send raw bytes on a connection of their own; everything that comes back until its end."""
        reader, writer = await self.connect()
        writer.write(request)
        return await reader.read()

    def publish(self, table: RoutingTable, generation: int) -> None:
        """Make it the table."""
        self.table = dataclasses.replace(table, generation=generation)
        self.plane.publish(self.table)

    def collect(self) -> Delta:
        """Add up what was counted since the last call."""
        delta = self.plane.deltas()
        self.refused.update(delta.refused)
        for cell in delta.cells:
            self.starts += cell.starts
            self.outcomes.update(dict(cell.outcomes))
            self.outcomes_of.update({(cell.key.version, name): count for name, count in cell.outcomes.items()})
            self.rescues.update(dict(cell.rescues))
            self.ejections[cell.key.version] += cell.ejections
            self.retried.update(dict(cell.retried))
            self.codes.update(dict(cell.codes))
            self.versions[cell.key.version] += sum(cell.codes.values())
        return delta

    async def counted(self, outcome: str) -> None:
        """Wait until an outcome was counted."""
        async with asyncio.timeout(PATIENCE):
            while not self.outcomes[outcome]:
                self.collect()
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running_cluster(
    *,
    weight: int = 0,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    settings: PlaneSettings | None = None,
    connect_timeout: float = 1.0,
    response_timeout: float = 30.0,
    keep_alive: float = 4.0,
    hosts: tuple[str, ...] = (),
    add_version: bool = False,
    stable_port: int | None = None,
    trusted: tuple[Network, ...] = (),
    forwarding: Forwarding = Forwarding(),  # noqa: B008 - frozen
    access_log: Callable[[AccessLogEntry], None] | None = None,
    connection_count: SharedConnectionCount | None = None,
    **route: Any,
) -> AsyncIterator[Cluster]:
    """A data plane with one route before two origins; everything is closed at the end."""
    stable, canary = Origin(), Origin()
    servers = [await asyncio.start_server(origin.serve, "127.0.0.1", 0) for origin in (stable, canary)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    endpoints = [Endpoint("127.0.0.1", stable_port or ports[0]), Endpoint("127.0.0.1", ports[1])]
    patience = (connect_timeout, response_timeout, keep_alive)
    versions = Version("stable", (endpoints[0],), *patience), Version("canary", (endpoints[1],), *patience)
    table = RoutingTable(1, (Route("shop", *versions, weight, hosts, add_version=add_version, **route),))
    plane = DataPlane(
        settings or PlaneSettings(limits or Limits(), timeouts or Timeouts(), trusted, forwarding),
        loop=asyncio.get_running_loop(),
        identity="canaryproxy-test",
        access_log=access_log,
        connection_count=connection_count,
    )
    plane.publish(table)
    sock = listen_on("127.0.0.1", 0)
    plane.listen(sock)
    made = Cluster(plane, sock.getsockname()[1], stable, canary, table)
    made.stable_port, made.canary_port = ports
    try:
        yield made
    finally:
        plane.abort()
        for writer in made.clients:
            writer.close()
        for server in servers:
            server.close()
        for task in stable.tasks | canary.tasks:
            task.cancel()
        await asyncio.sleep(0.02)


GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
STAY = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def read_response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and body of a response with a length."""
    head = await read_head(reader)
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return head, await reader.readexactly(int(fields.get(b"content-length", b"0")))
