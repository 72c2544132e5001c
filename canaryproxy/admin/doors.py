"""The listeners of the control plane together: the admin API, the probes' port and the probes' Unix socket. Each has
places of its own, so that a flood of one takes none of another's.
"""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from canaryproxy.admin.door import Door, Reason, Room
from canaryproxy.processes.unix_socket import Bound
from canaryproxy.telemetry.read.listener_metrics import ListenerFacts

log = logging.getLogger("canaryproxy")

CLOSING = 1.0
"""Seconds that calls under way may take at the end."""
LINGERING = 2.0
"""Seconds in which the body of a call that was answered without it is read all the same."""

LOCAL = 16
"""Connections to the Unix socket: only probes of our own user come that way."""

LOG_PERIOD = 10.0
"""Seconds between two log lines about dropped connections."""

WORDS: Mapping[Reason, str] = {
    "evicted": "gave way to newer ones",
    "header_timeout": "sent no whole request in time",
    "header_too_large": "sent too large a request head",
    "write_timeout": "did not take their answer",
    "busy": "were refused, since too many requests were under way",
    "silent": "came silent while all places changed hands within a moment, and were refused",
    "no_descriptors": "were closed for want of descriptors",
}


class Doors:
    """Those of one instance."""

    def __init__(self) -> None:
        self._doors: list[Door] = []
        self._runners: list[web.AppRunner] = []
        self._files: list[Bound] = []
        self._dropped: Counter[tuple[str, Reason]] = Counter()
        self._logged = -LOG_PERIOD
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Doors {self._doors}>"

    async def serve(self, name: str, app: web.Application, sock: socket.socket, room: Room) -> tuple[str, int]:
        """Serve an application; where."""
        server = await self._server(app)
        address: tuple[str, int] = sock.getsockname()[:2]
        self._open(Door(name, sock, room, time.monotonic, self._note), server)
        return address

    async def serve_local(self, app: web.Application, bound: Bound, most: int = LOCAL) -> None:
        """Serve an application on a Unix socket, to `most` at a time or fewer."""
        self._files.append(bound)
        server = await self._server(app)
        self._open(Door("socket", bound.sock, Room.unshared(min(most, LOCAL)), time.monotonic, self._note), server)

    def facts(self) -> ListenerFacts:
        """How many connections there are, and how many have been dropped."""
        return ListenerFacts(
            {door.name: door.connections for door in self._doors},
            {(door.name, reason): count for door in self._doors for reason, count in door.dropped.items()},
        )

    def close(self) -> None:
        """Let nobody in any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bound in self._files:
            bound.remove()
        for door in self._doors:
            door.close()

    async def cleanup(self) -> None:
        """Close, and end what is under way."""
        self.close()
        for running in self._runners:
            await running.cleanup()

    async def _server(self, app: web.Application) -> web.Server:
        running = web.AppRunner(
            app, access_log=None, shutdown_timeout=CLOSING, handle_signals=False, lingering_time=LINGERING
        )
        self._runners.append(running)
        await running.setup()
        if running.server is None:
            raise RuntimeError("an application that was set up has no server")
        return running.server

    def _open(self, door: Door, server: web.Server) -> None:
        self._doors.append(door)
        door.open(server)

    def _note(self, name: str, reason: Reason, count: int) -> None:
        """Count them for the next line."""
        self._dropped[name, reason] += count
        if self._timer is None:
            wait = max(self._logged + LOG_PERIOD - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._say)

    def _say(self) -> None:
        self._timer, self._logged = None, time.monotonic()
        found, self._dropped = self._dropped, Counter()
        for name in dict.fromkeys(name for name, _ in found):
            counts: dict[str, object] = {reason: count for (of, reason), count in found.items() if of == name}
            parts = ", ".join(f"{count} {WORDS[reason]}" for (of, reason), count in found.items() if of == name)
            fields = {"listener": name, **counts}
            log.warning("connections to the %s listener: %s", name, parts, extra={"fields": fields})
