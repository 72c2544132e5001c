"""The accept loop of the control plane's own listeners: the admin API, the probes and the socket of the probes.

The event loop's own server would take all that wait at once and make an HTTP parser for each. Here a turn of the loop
takes a few, and a connection costs no more than its socket until the head of its first request is complete. A head has
`HEAD_PATIENCE` seconds, from the connect or from the end of the answer before it. Who gives way where places are
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

from canaryproxy.admin.churn import Churn
from canaryproxy.admin.newcomers import take
from canaryproxy.admin.places import Places
from canaryproxy.admin.receive_window import RESET
from canaryproxy.admin.visitor import Visitor
from canaryproxy.model.client_prefix import client_prefix
from canaryproxy.processes.yield_cpu import yield_cpu

AT_ONCE = 32
"""Newcomers that are taken in one turn of the loop, and connections that are read in one, at most. Of newcomers a
quarter of the places, so that each is read before it can have to give way.
"""
BREATH = 8
"""Newcomers after which workers on this CPU get their turn."""
BEGUN_AT_ONCE = 4
"""Requests that begin in one turn of the loop, at most. While more wait, newcomers wait in the kernel's queue, so that
none has to give way before it is read.
"""

HEAD_PATIENCE = 10.0
"""Seconds for a whole request head to arrive."""
WRITE_PATIENCE = 10.0
"""Seconds in which a client takes `WRITE_LEAST` of a long answer, or is cut."""
WRITE_LEAST = 64 * 1024
HEAD_BYTES = 32 * 1024

MOST_BUSY = 256
"""Requests under way at a listener: each may hold the buffers of an answer that is not taken."""

SEND_BUFFER = 64 * 1024
"""Bytes of each connection that the kernel holds for a client that does not read; Linux doubles it. With less, answers
over the loopback interface, whose packets have 64 KiB, wait for delayed acknowledgements.
"""

SWEEP = 0.5
"""Seconds between two looks for those whose time is over."""
OUT_OF_FILES_PAUSE = 0.1
OUT_OF_FILES_GIVEN = 16
"""Idle connections that are closed when no descriptor is left."""

PROBLEM = b'{"type": "about:blank", "title": "%b", "status": %d}\n'
SAYING = (
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
    return SAYING % (status, phrase, len(problem), problem)


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


async def answered(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
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
class Room:
    """How many connections a listener takes, and how they are shared out."""

    most: int
    busy: int
    share: int
    busy_share: int

    @classmethod
    def of(cls, most: int) -> "Room":
        """Requests under way take three quarters of the places, and no more than `MOST_BUSY`; an address takes half of
        both.
        """
        busy = max(min(most * 3 // 4, MOST_BUSY), 1)
        return cls(most, busy, max(most // 2, 2), max(busy // 2, 1))

    @classmethod
    def unshared(cls, most: int) -> "Room":
        """All come from one place."""
        return cls(most, max(most * 3 // 4, 1), most, most)


class Door:
    """Lets connections of one bound, listening, non-blocking socket in. `note` hears of each that is dropped."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        room: Room,
        now: Callable[[], float],
        note: Callable[[str, Reason, int], None] = lambda *_: None,
    ) -> None:
        self.name = name
        self.dropped: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        self._sock = sock
        self._now = now
        self._note = note
        self._places: Places[Visitor] = Places(room.most, room.busy, room.share, room.busy_share)
        self._churn = Churn(room.most)
        self._waiting: dict[int, Visitor] = {}
        self._inside: dict[object, Visitor] = {}
        self._entering: dict[Visitor, float] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._left = BEGUN_AT_ONCE
        self._at_once = max(min(room.most // 4, AT_ONCE), 1)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._epoll: select.epoll | None = None

    def __repr__(self) -> str:
        return f"<Door {self.name} {self._places!r}>"

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
        self._again()

    def close(self) -> None:
        """Let nobody in any more. Requests under way go on; connections without one end."""
        if self._epoll is None:
            return
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_reader(self._epoll.fileno())
        for visitor in list(self._waiting.values()):
            self._end(visitor)
        for task in self._arriving:
            task.cancel()
        self._epoll.close()
        self._epoll = None
        self._sock.close()

    def _working(self, handler: Handler) -> Handler:
        """Know which connections have a request under way."""

        async def working(request: web.BaseRequest) -> web.StreamResponse:
            visitor = self._inside.get(request.protocol)
            if visitor is None:
                return await handler(request)
            self._entering.pop(visitor, None)
            if not self._begin(visitor):
                self.dropped["busy"] += 1
                self._note(self.name, "busy", 1)
                return overloaded()
            try:
                return await answered(request, handler)
            finally:
                self._places.end(visitor, self._now())

        return working

    # newcomers

    def _accept(self) -> None:
        if self._left <= 0:
            self._left = BEGUN_AT_ONCE
            return
        for taken in range(0, self._at_once, BREATH):
            most = min(self._at_once - taken, BREATH)
            try:
                found, refused = take(self._sock, most, self._crowds if self._churn.whole(self._now()) else None)
            except OSError as error:
                self._not_accepted(error)
                return
            if refused:
                self._churn.add(self._now(), refused)
                self.dropped["silent"] += refused
                self._note(self.name, "silent", refused)
            for connection, peer in found:
                self._arrive(connection, address_of(peer))
            if len(found) + refused < most:
                return
            yield_cpu()

    def _crowds(self, peer: str) -> bool:
        """Whether one of its address would have to give way before it is heard."""
        return self._places.crowds(address_of(peer))

    def _arrive(self, connection: socket.socket, address: str) -> None:
        now = self._now()
        visitor = Visitor(self, connection)
        victim = self._places.enter(visitor, address, now)
        if victim is not None:
            if victim is visitor:
                self._drop(visitor, "busy", BUSY)
                return
            self._churn.add(now)
            self._drop(victim, "evicted")
        if self._epoll is not None:
            self._waiting[visitor.file] = visitor
            self._epoll.register(visitor.file, select.EPOLLIN)

    def _not_accepted(self, error: OSError) -> None:
        """Mostly for want of descriptors: the longest idle give theirs."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            for visitor in self._places.give(OUT_OF_FILES_GIVEN):
                self._drop(visitor, "no_descriptors")
        self._loop.remove_reader(self._sock.fileno())
        self._timers["resume"] = self._loop.call_later(OUT_OF_FILES_PAUSE, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    # request heads

    def _readable(self) -> None:
        self._left = BEGUN_AT_ONCE
        if self._epoll is None:
            return
        for file, _ in self._epoll.poll(0, AT_ONCE):
            if self._left <= 0:
                break
            visitor = self._waiting.get(file)
            if visitor is not None:
                self._read(visitor)

    def _read(self, visitor: Visitor) -> None:
        """Read what is there of its head."""
        try:
            more = visitor.read(HEAD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = False
        if not more:
            self._end(visitor)
        elif visitor.complete:
            self._admit(visitor)
        elif visitor.held >= HEAD_BYTES:
            self._drop(visitor, "header_too_large", TOO_LARGE)

    def _admit(self, visitor: Visitor) -> None:
        """The head of its first request is complete: it gets a parser."""
        self._left -= 1
        if not self._begin(visitor):
            self._drop(visitor, "busy", BUSY)
            return
        self._forget(visitor)
        inner = self._server()
        try:
            visitor.enter(inner)
        except OSError:
            self._end(visitor)
            return
        self._inside[inner] = visitor
        self._entering[visitor] = self._now()
        task = self._loop.create_task(self._connect(visitor))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(self, visitor: Visitor) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: visitor, visitor.sock)
        except (OSError, asyncio.CancelledError):
            self._end(visitor)

    def _begin(self, visitor: Visitor) -> bool:
        """Whether a request may be under way there."""
        victim = self._places.begin(visitor)
        if victim is visitor:
            return False
        if victim is not None:
            self._drop(victim, "write_timeout")
        return True

    # what visitors tell

    def paused(self, visitor: Visitor) -> None:
        """Its client does not take its answer."""
        self._places.stall(visitor, self._now())

    def resumed(self, visitor: Visitor) -> None:
        """It takes it again."""
        self._places.flow(visitor, self._now())

    def lost(self, visitor: Visitor) -> None:
        """It is gone."""
        self._places.leave(visitor)
        self._inside.pop(visitor.inner, None)
        self._entering.pop(visitor, None)

    # ends

    def _again(self) -> None:
        self._timers["sweep"] = self._loop.call_later(SWEEP, self._sweep)

    def _sweep(self) -> None:
        self._again()
        now = self._now()
        late = list(itertools.takewhile(lambda one: self._entering[one] <= now - HEAD_PATIENCE, self._entering))
        for visitor in late:
            self._drop(visitor, "header_timeout")
        for visitor in self._places.idle_since(now - HEAD_PATIENCE):
            if visitor.inner is None:
                self._drop(visitor, "header_timeout")
            else:
                self._end(visitor)
        for visitor in self._places.stalled_since(now - WRITE_PATIENCE):
            if visitor.took(WRITE_LEAST):
                self._places.flow(visitor, now)
                self._places.stall(visitor, now)
            else:
                self._drop(visitor, "write_timeout")

    def _drop(self, visitor: Visitor, reason: Reason, words: bytes = b"") -> None:
        """End it, and say why."""
        self.dropped[reason] += 1
        self._note(self.name, reason, 1)
        self._end(visitor, words)

    def _end(self, visitor: Visitor, words: bytes = b"") -> None:
        """It has no place any more. Closed files leave the epoll by themselves."""
        self._places.leave(visitor)
        self._entering.pop(visitor, None)
        self._inside.pop(visitor.inner, None)
        if self._waiting.get(visitor.file) is visitor:
            del self._waiting[visitor.file]
        visitor.abort(words)

    def _forget(self, visitor: Visitor) -> None:
        """Wait for its head no longer: another hears of its file from now on."""
        if self._waiting.get(visitor.file) is visitor and self._epoll is not None:
            del self._waiting[visitor.file]
            self._epoll.unregister(visitor.file)
