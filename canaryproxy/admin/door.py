"""How many may be connected to the admin API: so many that the control plane keeps descriptors for its own work.

Where one more comes, the connection that has been idle for longest makes room; where all are busy, the newcomer is
refused. So silent connections never keep an operator out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b"
)
PROBLEM = b'{"type": "about:blank", "title": "too many connections", "status": 503}\n'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(asyncio.Protocol):
    """Says that there is no room, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it."""
        wire = cast("asyncio.Transport", transport)
        wire.write(BUSY % (len(PROBLEM), PROBLEM))
        wire.close()


class Door:
    """Lets `most` connections in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: set[object] = set()

    def __repr__(self) -> str:
        return f"<Door for {self._most}, {len(self._busy)} of them busy>"

    def guard(self, app: web.Application) -> None:
        """Know which connections have a request under way."""

        @web.middleware
        async def working(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._busy.add(request.protocol)
            try:
                return await handler(request)
            finally:
                self._busy.discard(request.protocol)

        app.middlewares.insert(0, working)

    def opened(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """What makes the protocol of each new connection."""

        def enter() -> asyncio.BaseProtocol:
            present = server.connections
            if len(present) >= self._most:
                idle = next((one for one in present if one not in self._busy and one.transport is not None), None)
                if idle is None:
                    return Refusal()
                idle.force_close()
            return server()

        return enter
