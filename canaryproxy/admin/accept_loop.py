"""The accept loop of the control plane's own listeners: the admin API, the probes and the socket of the probes.

The event loop's own server would take all that wait at once and make an HTTP parser for each. Here a turn of the loop
takes a few, and a connection costs no more than its socket until the head of its first request is complete. A head has
`HEAD_TIMEOUT_SECONDS` seconds, from the connect or from the end of the answer before it. Who gives way where places are
scarce is decided in `places`.
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
from typing import Literal

from aiohttp import web

from canaryproxy.admin.connection_slots import ControlSlots
from canaryproxy.admin.control_connection import ControlConnection
from canaryproxy.admin.newcomers import take
from canaryproxy.admin.receive_window import RESET
from canaryproxy.admin.turnover import Turnover
from canaryproxy.model.client import client_prefix
from canaryproxy.processes.machine import yield_cpu

ACCEPT_BATCH = 32
"""Newcomers that are taken in one turn of the loop, and connections that are read in one, at most. Of newcomers a
quarter of the places, so that each is read before it can have to give way.
"""
TURN_SECONDS = 8
"""Newcomers after which workers on this CPU get their turn."""
START_BATCH = 4
"""Requests that begin in one turn of the loop, at most. While more wait, newcomers wait in the kernel's queue, so that
none has to give way before it is read.
"""

HEAD_TIMEOUT_SECONDS = 10.0
"""Seconds for a whole request head to arrive."""
WRITE_TIMEOUT_SECONDS = 10.0
"""Seconds in which a client takes `MIN_WRITE_BYTES` of a long answer, or is cut."""
MIN_WRITE_BYTES = 64 * 1024
HEAD_BYTES = 32 * 1024

MAX_BUSY = 256
"""Requests under way at a listener: each may hold the buffers of an answer that is not taken."""

SEND_BUFFER = 64 * 1024
"""Bytes of each connection that the kernel holds for a client that does not read; Linux doubles it. With less, answers
over the loopback interface, whose packets have 64 KiB, wait for delayed acknowledgements.
"""

SWEEP_SECONDS = 0.5
"""Seconds between two looks for those whose time is over."""
OUT_OF_FILES_PAUSE_SECONDS = 0.1
OUT_OF_FILES_GIVEN = 16
"""Idle connections that are closed when no descriptor is left."""

PROBLEM = b'{"type": "about:blank", "title": "%b", "status": %d}\n'
LOG_REASONS = (
    b"HTTP/1.1 %d %b\r\nServer: canaryproxy\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b"
)

Reason = Literal["evicted", "silent", "header_timeout", "header_too_large", "write_timeout", "busy", "no_descriptors"]
REASONS: tuple[Reason, ...] = (
    "evicted",
    "silent",
    "header_timeout",
    "header_too_large",
    "write_timeout",
    "busy",
    "no_descriptors",
)
"""Why a connection was dropped, as the metric has it."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def refusal(status: int, phrase: bytes, title: bytes) -> bytes:
    """An answer that needs no parser, after which the connection ends."""
    problem = PROBLEM % (title, status)
    return LOG_REASONS % (status, phrase, len(problem), problem)


BUSY = refusal(503, b"Service Unavailable", b"too many requests under way")
TOO_LARGE = refusal(431, b"Request Header Fields Too Large", b"the request head is too large")


def address_of(peer: str) -> str:
    """What a peer is counted by: its address, of IPv6 its network."""
    return client_prefix(peer) if ":" in peer else peer


def overloaded() -> web.Response:
    """The same for a connection that was let in before."""
    response = web.Response(status=503, content_type="application/problem+json", headers={"Retry-After": "1"})
    response.body = PROBLEM % (b"too many requests under way", 503)
    response.force_close()
    return response


async def answer_once(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
    """What the handler answers, written already: a connection is not idle before. The server, which would write it
    now, sees that it is done.
    """
    try:
        response = await handler(request)
    except web.HTTPException as error:
        await write(request, error)
        raise
    await write(request, response)
    return response


async def write(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Write a response, to its end. The server notices by itself where the client is gone."""
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()


@dataclass(frozen=True, slots=True)
class ConnectionQuota:
    """How many connections a listener takes, and how they are shared out."""

    most: int
    busy: int
    share: int
    busy_share: int

    @classmethod
    def of(cls, most: int) -> "ConnectionQuota":
        """Requests under way take three quarters of the places, and no more than `MAX_BUSY`; an address takes half of
        both.
        """
        busy = max(min(most * 3 // 4, MAX_BUSY), 1)
        return cls(most, busy, max(most // 2, 2), max(busy // 2, 1))

    @classmethod
    def unshared(cls, most: int) -> "ConnectionQuota":
        """All come from one place."""
        return cls(most, max(most * 3 // 4, 1), most, most)


class AcceptLoop:
    """Lets connections of one bound, listening, non-blocking socket in. `note` hears of each that is dropped."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        room: ConnectionQuota,
        clock: Callable[[], float],
        note: Callable[[str, Reason, int], None] = lambda *_: None,
    ) -> None:
        self.name = name
        self.dropped: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        self._sock = sock
        self._clock = clock
        self._note = note
        self._places: ControlSlots[ControlConnection] = ControlSlots(room.most, room.busy, room.share, room.busy_share)
        self._churn = Turnover(room.most)
        self._waiting: dict[int, ControlConnection] = {}
        self._inside: dict[object, ControlConnection] = {}
        self._entering: dict[ControlConnection, float] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._left = START_BATCH
        self._at_once = max(min(room.most // 4, ACCEPT_BATCH), 1)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._epoll: select.epoll | None = None

    def __repr__(self) -> str:
        return f"<AcceptLoop {self.name} {self._places!r}>"

    @property
    def connections(self) -> int:
        """Connected now."""
        return len(self._places)

    def open(self, server: web.Server) -> None:
        """Let connections in from now on."""
        self._server = server
        server.request_handler = self._working(server.request_handler)
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        if self._sock.family != socket.AF_UNIX:
            # Connections inherit it: it is the cheapest end there is for those that never say anything.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._loop.add_reader(self._epoll.fileno(), self._readable)
        self._loop.add_reader(self._sock.fileno(), self._accept)
        self._rearm()

    def close(self) -> None:
        """Accept no more connections. Requests under way go on; connections without one end."""
        if self._epoll is None:
            return
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_reader(self._epoll.fileno())
        for connection in list(self._waiting.values()):
            self._end(connection)
        for task in self._arriving:
            task.cancel()
        self._epoll.close()
        self._epoll = None
        self._sock.close()

    def _working(self, handler: Handler) -> Handler:
        """Know which connections have a request under way."""

        async def working(request: web.BaseRequest) -> web.StreamResponse:
            connection = self._inside.get(request.protocol)
            if connection is None:
                return await handler(request)
            self._entering.pop(connection, None)
            if not self._begin(connection):
                self.dropped["busy"] += 1
                self._note(self.name, "busy", 1)
                return overloaded()
            try:
                return await answer_once(request, handler)
            finally:
                self._places.end(connection, self._clock())

        return working

    # newcomers

    def _accept(self) -> None:
        if self._left <= 0:
            self._left = START_BATCH
            return
        for taken in range(0, self._at_once, TURN_SECONDS):
            most = min(self._at_once - taken, TURN_SECONDS)
            try:
                found, refused = take(self._sock, most, self._crowds if self._churn.whole(self._clock()) else None)
            except OSError as error:
                self._not_accepted(error)
                return
            if refused:
                self._churn.add(self._clock(), refused)
                self.dropped["silent"] += refused
                self._note(self.name, "silent", refused)
            for connection, peer in found:
                self._new_connection(connection, address_of(peer))
            if len(found) + refused < most:
                return
            yield_cpu()

    def _crowds(self, peer: str) -> bool:
        """Whether one of its address would have to give way before it is heard."""
        return self._places.exceeds_share(address_of(peer))

    def _new_connection(self, connection: socket.socket, address: str) -> None:
        now = self._clock()
        control_connection = ControlConnection(self, connection)
        victim = self._places.take(control_connection, address, now)
        if victim is not None:
            if victim is control_connection:
                self._drop(control_connection, "busy", BUSY)
                return
            self._churn.add(now)
            self._drop(victim, "evicted")
        if self._epoll is not None:
            self._waiting[control_connection.file] = control_connection
            self._epoll.register(control_connection.file, select.EPOLLIN)

    def _not_accepted(self, error: OSError) -> None:
        """Mostly for want of descriptors: the longest idle give theirs."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            for connection in self._places.free_slots(OUT_OF_FILES_GIVEN):
                self._drop(connection, "no_descriptors")
        self._loop.remove_reader(self._sock.fileno())
        self._timers["resume"] = self._loop.call_later(OUT_OF_FILES_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    # request heads

    def _readable(self) -> None:
        self._left = START_BATCH
        if self._epoll is None:
            return
        for file, _ in self._epoll.poll(0, ACCEPT_BATCH):
            if self._left <= 0:
                break
            connection = self._waiting.get(file)
            if connection is not None:
                self._read(connection)

    def _read(self, connection: ControlConnection) -> None:
        """Read what is there of its head."""
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
        """The head of its first request is complete: it gets a parser."""
        self._left -= 1
        if not self._begin(connection):
            self._drop(connection, "busy", BUSY)
            return
        self._unregister(connection)
        inner = self._server()
        try:
            connection.enter(inner)
        except OSError:
            self._end(connection)
            return
        self._inside[inner] = connection
        self._entering[connection] = self._clock()
        task = self._loop.create_task(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(self, connection: ControlConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, connection.sock)
        except (OSError, asyncio.CancelledError):
            self._end(connection)

    def _begin(self, connection: ControlConnection) -> bool:
        """Whether a request may be under way there."""
        victim = self._places.begin(connection)
        if victim is connection:
            return False
        if victim is not None:
            self._drop(victim, "write_timeout")
        return True

    # what visitors tell

    def paused(self, connection: ControlConnection) -> None:
        """Its client does not take its answer."""
        self._places.stall(connection, self._clock())

    def resumed(self, connection: ControlConnection) -> None:
        """It takes it again."""
        self._places.flow(connection, self._clock())

    def lost(self, connection: ControlConnection) -> None:
        """It is gone."""
        self._places.release(connection)
        self._inside.pop(connection.inner, None)
        self._entering.pop(connection, None)

    # ends

    def _rearm(self) -> None:
        self._timers["sweep"] = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._rearm()
        now = self._clock()
        late = list(itertools.takewhile(lambda one: self._entering[one] <= now - HEAD_TIMEOUT_SECONDS, self._entering))
        for connection in late:
            self._drop(connection, "header_timeout")
        for connection in self._places.idle_since(now - HEAD_TIMEOUT_SECONDS):
            if connection.inner is None:
                self._drop(connection, "header_timeout")
            else:
                self._end(connection)
        for connection in self._places.stalled_since(now - WRITE_TIMEOUT_SECONDS):
            if connection.consume(MIN_WRITE_BYTES):
                self._places.flow(connection, now)
                self._places.stall(connection, now)
            else:
                self._drop(connection, "write_timeout")

    def _drop(self, connection: ControlConnection, reason: Reason, words: bytes = b"") -> None:
        """End it, and say why."""
        self.dropped[reason] += 1
        self._note(self.name, reason, 1)
        self._end(connection, words)

    def _end(self, connection: ControlConnection, words: bytes = b"") -> None:
        """It has no place any more. Closed files leave the epoll by themselves."""
        self._places.release(connection)
        self._entering.pop(connection, None)
        self._inside.pop(connection.inner, None)
        if self._waiting.get(connection.file) is connection:
            del self._waiting[connection.file]
        connection.abort(words)

    def _unregister(self, connection: ControlConnection) -> None:
        """Wait for its head no longer: another hears of its file from now on."""
        if self._waiting.get(connection.file) is connection and self._epoll is not None:
            del self._waiting[connection.file]
            self._epoll.unregister(connection.file)
