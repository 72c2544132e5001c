"""Connections to one endpoint: idle ones are lent again, newest first, new ones are opened on demand.

Keyed by endpoint, so a pool survives table swaps. The idle time is kept below what servers allow, and a
connection on which anything happened while idle is not lent: the keep-alive race is made rare before it
is mended (see `retry`).
"""

import asyncio
import socket
from typing import TYPE_CHECKING

from canaryproxy.model.failure import Failure
from canaryproxy.model.table import Endpoint
from canaryproxy.proxy.upstream import Upstream

if TYPE_CHECKING:
    from canaryproxy.proxy.exchange import Exchange


class Pool:
    """`authority` is the endpoint's `host:port` for requests that bring no Host."""

    __slots__ = ("_idle", "_loop", "_opening", "_retired", "authority", "endpoint")

    def __init__(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self.endpoint = endpoint
        self.authority = endpoint.authority.encode("ascii")
        self._loop = loop
        self._retired = False
        self._idle: list[Upstream] = []
        self._opening: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Pool {self.endpoint.authority}: {len(self._idle)} idle, {len(self._opening)} opening>"

    def take(self) -> Upstream | None:
        """An idle connection that is still good, or None."""
        idle = self._idle
        while idle:
            upstream = idle.pop()
            if upstream.alive:
                return upstream
        return None

    def give_back(self, upstream: Upstream, expires: float) -> None:
        """Keep a connection for the next exchange until `expires` (monotonic seconds)."""
        if self._retired:
            upstream.abort()
            return
        upstream.expires = expires
        upstream.reused = True
        self._idle.append(upstream)

    def open(self, exchange: "Exchange") -> asyncio.Task[None]:
        """Open a connection for `exchange`, which hears of success or failure unless it cancels the task."""
        task = self._loop.create_task(self._open(exchange))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    async def _open(self, exchange: "Exchange") -> None:
        upstream = Upstream()
        try:
            await self._loop.create_connection(lambda: upstream, self.endpoint.host, self.endpoint.port)
        except asyncio.CancelledError:
            upstream.abort()
            raise
        except socket.gaierror:
            exchange.connect_failed(Failure.NAME_UNRESOLVED)
        except OSError:
            exchange.connect_failed(Failure.CONNECT_REFUSED)
        else:
            exchange.connected(upstream)

    def sweep(self, now: float) -> None:
        """Close idle connections whose time is over."""
        if self._idle and (self._idle[0].expires <= now or not self._idle[0].alive):
            fresh = [upstream for upstream in self._idle if upstream.expires > now and upstream.alive]
            for upstream in set(self._idle).difference(fresh):
                upstream.abort()
            self._idle = fresh

    def retire(self) -> None:
        """The endpoint left the table: close what is idle, now and later; what is under way goes on."""
        self._retired = True
        for upstream in self._idle:
            upstream.abort()
        self._idle.clear()

    def close(self) -> None:
        """Close what is idle and stop opening."""
        self.retire()
        for task in self._opening:
            task.cancel()
