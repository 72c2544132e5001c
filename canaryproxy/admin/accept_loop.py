"""The accept loop of the control plane's listeners: admin API, probes port and probes socket.

asyncio's own server would accept the whole queue at once and create an HTTP parser for each connection. Here one turn
of the event loop accepts a few, and a connection costs only its socket until its first request head is complete.
A head must arrive within `HEAD_TIMEOUT_SECONDS` of the connect or of the previous response. `connection_slots` decides
which connection is evicted when slots are scarce.
"""

import asyncio
import contextlib
import errno
import itertools
import select
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, get_args

from aiohttp import web

from canaryproxy.admin.connection_slots import ControlSlots, Turnover
from canaryproxy.admin.control_connection import ControlConnection
from canaryproxy.admin.newcomers import take
from canaryproxy.admin.receive_window import RESET
from canaryproxy.model.client import client_prefix
from canaryproxy.processes.machine import yield_cpu

# Connections accepted or read per turn of the loop; at most a quarter of the slots, so that none is evicted unread.
ACCEPT_BATCH = 32
# Accepted connections after which the CPU is yielded to workers that share it.
YIELD_AFTER = 8
# Requests started per turn of the loop. While more are ready, newcomers wait in the kernel's accept queue.
START_BATCH = 4

# Time for a whole request head to arrive.
HEAD_TIMEOUT_SECONDS = 10.0
# A client that reads less than `MIN_WRITE_BYTES` of a long response in this time is disconnected.
WRITE_TIMEOUT_SECONDS = 10.0
MIN_WRITE_BYTES = 64 * 1024
HEAD_BYTES = 32 * 1024

# Requests in flight at a listener: each may buffer a response that its client does not read.
MAX_BUSY = 256

# SO_SNDBUF in bytes; Linux doubles it. Less makes responses on loopback (64 KiB packets) wait for delayed ACKs.
SEND_BUFFER = 64 * 1024

# Interval of the check for timeouts.
SWEEP_SECONDS = 0.5
OUT_OF_FILES_PAUSE_SECONDS = 0.1
# Idle connections closed when file descriptors run out.
OUT_OF_FILES_GIVEN = 16

PROBLEM = b'{"type": "about:blank", "title": "%b", "status": %d}\n'
RESPONSE = (
    b"HTTP/1.1 %d %b\r\nServer: canaryproxy\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b"
)

Reason = Literal["evicted", "silent", "header_timeout", "header_too_large", "write_timeout", "busy", "no_descriptors"]
# Why a connection was dropped, as the metric labels it.
REASONS: tuple[Reason, ...] = get_args(Reason)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def refusal(status: int, phrase: bytes, title: bytes) -> bytes:
    """A response for a connection without a parser; the connection is closed after it."""
    problem = PROBLEM % (title, status)
    return RESPONSE % (status, phrase, len(problem), problem)


BUSY = refusal(503, b"Service Unavailable", b"too many requests in flight")
TOO_LARGE = refusal(431, b"Request Header Fields Too Large", b"the request head is too large")


def address_of(peer: str) -> str:
    """The key by which a peer is counted: its IPv4 address, or its IPv6 network."""
    return client_prefix(peer) if ":" in peer else peer


def overloaded() -> web.Response:
    """The 503 response for a connection that has a parser."""
    response = web.Response(status=503, content_type="application/problem+json", headers={"Retry-After": "1"})
    response.body = PROBLEM % (b"too many requests in flight", 503)
    response.force_close()
    return response


async def answer_once(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
    """The handler's response, already written: until then the connection counts as busy."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        await write(request, error)
        raise
    await write(request, response)
    return response


async def write(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Write a whole response. A client that is gone is left to aiohttp."""
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()


@dataclass(frozen=True, slots=True)
class ConnectionQuota:
    """Connection limits of a listener: total, busy, and per address."""

    most: int
    busy: int
    share: int
    busy_share: int

    @classmethod
    def of(cls, most: int) -> "ConnectionQuota":
        """At most three quarters of the slots and `MAX_BUSY` are busy; one address gets half of both."""
        busy = max(min(most * 3 // 4, MAX_BUSY), 1)
        return cls(most, busy, max(most // 2, 2), max(busy // 2, 1))

    @classmethod
    def unshared(cls, most: int) -> "ConnectionQuota":
        """Limits without shares per address, for a Unix socket."""
        return cls(most, max(most * 3 // 4, 1), most, most)


class AcceptLoop:
    """Accepts connections of a listening, non-blocking socket. `note(listener, reason, count)` reports dropped ones."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        quota: ConnectionQuota,
        clock: Callable[[], float],
        note: Callable[[str, Reason, int], None] = lambda *_: None,
    ) -> None:
        self.name = name
        self.dropped: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        self._sock = sock
        self._clock = clock
        self._note = note
        self._slots = ControlSlots[ControlConnection](quota.most, quota.busy, quota.share, quota.busy_share)
        self._turnover = Turnover(quota.most)
        self._unread: dict[int, ControlConnection] = {}
        self._by_protocol: dict[object, ControlConnection] = {}
        self._awaiting_head: dict[ControlConnection, float] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._starts_left = START_BATCH
        self._batch = max(min(quota.most // 4, ACCEPT_BATCH), 1)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._epoll: select.epoll | None = None

    def __repr__(self) -> str:
        return f"<AcceptLoop {self.name} {self._slots!r}>"

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._slots)

    def open(self, server: web.Server) -> None:
        """Start to accept connections for an aiohttp server."""
        self._server = server
        server.request_handler = self._tracked(server.request_handler)
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        if self._sock.family != socket.AF_UNIX:
            # Accepted sockets inherit RST on close, the cheapest end for connections that never send.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._loop.add_reader(self._epoll.fileno(), self._readable)
        self._loop.add_reader(self._sock.fileno(), self._accept)
        self._timers["sweep"] = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Stop accepting. Requests in flight go on; connections without a request are closed."""
        if self._epoll is None:
            return
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_reader(self._epoll.fileno())
        for connection in list(self._unread.values()):
            self._end(connection)
        for task in self._connecting:
            task.cancel()
        self._epoll.close()
        self._epoll = None
        self._sock.close()

    def _tracked(self, handler: Handler) -> Handler:
        """Wrap aiohttp's handler to know which connections have a request in flight."""

        async def tracked(request: web.BaseRequest) -> web.StreamResponse:
            connection = self._by_protocol.get(request.protocol)
            if connection is None:
                return await handler(request)
            self._awaiting_head.pop(connection, None)
            if not self._begin(connection):
                self.dropped["busy"] += 1
                self._note(self.name, "busy", 1)
                return overloaded()
            try:
                return await answer_once(request, handler)
            finally:
                self._slots.end(connection, self._clock())

        return tracked

    def _accept(self) -> None:
        if self._starts_left <= 0:  # heads that are complete go first
            self._starts_left = START_BATCH
            return
        for taken in range(0, self._batch, YIELD_AFTER):
            most = min(self._batch - taken, YIELD_AFTER)
            refusable = self._over_share if self._turnover.whole(self._clock()) else None
            try:
                found, refused = take(self._sock, most, refusable)
            except OSError as error:
                self._not_accepted(error)
                return
            if refused:
                self._turnover.add(self._clock(), refused)
                self.dropped["silent"] += refused
                self._note(self.name, "silent", refused)
            for connection, peer in found:
                self._new_connection(connection, address_of(peer))
            if len(found) + refused < most:
                return
            # An accept storm would otherwise starve the workers on this CPU.
            yield_cpu()

    def _over_share(self, peer: str) -> bool:
        """Whether a newcomer of this address would be evicted before its first byte."""
        return self._slots.exceeds_share(address_of(peer))

    def _new_connection(self, connection: socket.socket, address: str) -> None:
        now = self._clock()
        control_connection = ControlConnection(self, connection)
        victim = self._slots.take(control_connection, address, now)
        if victim is not None:
            if victim is control_connection:
                self._drop(control_connection, "busy", BUSY)
                return
            self._turnover.add(now)
            self._drop(victim, "evicted")
        if self._epoll is not None:
            self._unread[control_connection.file] = control_connection
            self._epoll.register(control_connection.file, select.EPOLLIN)

    def _not_accepted(self, error: OSError) -> None:
        """Pause accepting. Without file descriptors, the longest idle connections are closed."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            for connection in self._slots.free_slots(OUT_OF_FILES_GIVEN):
                self._drop(connection, "no_descriptors")
        # The listening socket stays readable: polling it without a pause would spin.
        self._loop.remove_reader(self._sock.fileno())
        self._timers["resume"] = self._loop.call_later(
            OUT_OF_FILES_PAUSE_SECONDS, self._loop.add_reader, self._sock.fileno(), self._accept
        )

    def _readable(self) -> None:
        self._starts_left = START_BATCH
        if self._epoll is None:
            return
        for file, _ in self._epoll.poll(0, ACCEPT_BATCH):
            if self._starts_left <= 0:
                break
            connection = self._unread.get(file)
            if connection is not None:
                self._read(connection)

    def _read(self, connection: ControlConnection) -> None:
        """Read what has arrived of the first head."""
        try:
            more = connection.read(HEAD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = False
        if not more:
            self._end(connection)
        elif connection.complete:
            self._admit(connection)
        elif connection.buffered_bytes >= HEAD_BYTES:
            self._drop(connection, "header_too_large", TOO_LARGE)

    def _admit(self, connection: ControlConnection) -> None:
        """The first head is complete: hand the connection to an HTTP parser."""
        self._starts_left -= 1
        if not self._begin(connection):
            self._drop(connection, "busy", BUSY)
            return
        if self._unread.pop(connection.file, None) is not None and self._epoll is not None:
            self._epoll.unregister(connection.file)  # asyncio polls the file from now on
        # Only now: a parser costs far more memory than a socket, and most of a flood never gets here.
        inner = self._server()
        try:
            connection.enter(inner)
        except OSError:
            self._end(connection)
            return
        self._by_protocol[inner] = connection
        self._awaiting_head[connection] = self._clock()
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: ControlConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, connection.sock)
        except (OSError, asyncio.CancelledError):
            self._end(connection)

    def _begin(self, connection: ControlConnection) -> bool:
        """Count a request of the connection as in flight. Returns False where it is refused."""
        victim = self._slots.begin(connection)
        if victim is connection:
            return False
        if victim is not None:
            self._drop(victim, "write_timeout")
        return True

    # called by `ControlConnection`

    def paused(self, connection: ControlConnection) -> None:
        """The client stopped reading its response."""
        self._slots.stall(connection, self._clock())

    def resumed(self, connection: ControlConnection) -> None:
        """The client reads again."""
        self._slots.flow(connection, self._clock())

    def lost(self, connection: ControlConnection) -> None:
        """The connection is closed."""
        self._slots.release(connection)
        self._by_protocol.pop(connection.inner, None)
        self._awaiting_head.pop(connection, None)

    def _sweep(self) -> None:
        self._timers["sweep"] = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = self._clock()
        limit = now - HEAD_TIMEOUT_SECONDS
        for connection in list(itertools.takewhile(lambda one: self._awaiting_head[one] <= limit, self._awaiting_head)):
            self._drop(connection, "header_timeout")
        for connection in self._slots.idle_since(limit):
            if connection.inner is None:
                self._drop(connection, "header_timeout")
            else:  # keep-alive ran out, which is normal
                self._end(connection)
        for connection in self._slots.stalled_since(now - WRITE_TIMEOUT_SECONDS):
            if connection.consume(MIN_WRITE_BYTES):
                # It reads, slowly: start a new period.
                self._slots.flow(connection, now)
                self._slots.stall(connection, now)
            else:
                self._drop(connection, "write_timeout")

    def _drop(self, connection: ControlConnection, reason: Reason, last: bytes = b"") -> None:
        """Close a connection and count the reason."""
        self.dropped[reason] += 1
        self._note(self.name, reason, 1)
        self._end(connection, last)

    def _end(self, connection: ControlConnection, last: bytes = b"") -> None:
        """Close a connection and free its slot. The kernel removes a closed file from the epoll set."""
        self._slots.release(connection)
        self._awaiting_head.pop(connection, None)
        self._by_protocol.pop(connection.inner, None)
        if self._unread.get(connection.file) is connection:
            del self._unread[connection.file]
        connection.abort(last)
