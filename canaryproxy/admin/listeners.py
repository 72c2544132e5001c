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

from canaryproxy.admin.accept_loop import AcceptLoop, ConnectionQuota, Reason
from canaryproxy.processes.listen import Bound
from canaryproxy.telemetry.read.metrics import ListenerFacts

log = logging.getLogger("canaryproxy")

CLOSE_SECONDS = 1.0
"""Seconds that calls under way may take at the end."""
LINGER_SECONDS = 2.0
"""Seconds in which the body of a call that was answered without it is read all the same."""

LOCAL = 16
"""Connections to the Unix socket: only probes of our own user come that way."""

LOG_PERIOD_SECONDS = 10.0
"""Seconds between two log lines about dropped connections."""

REASON_TEXTS: Mapping[Reason, str] = {
    "evicted": "gave way to newer ones",
    "header_timeout": "sent no whole request in time",
    "header_too_large": "sent too large a request head",
    "write_timeout": "did not take their answer",
    "busy": "were refused, since too many requests were under way",
    "silent": "came silent while all places changed hands within a moment, and were refused",
    "no_descriptors": "were closed for want of descriptors",
}


class ControlListeners:
    """Those of one instance."""

    def __init__(self) -> None:
        self._doors: list[AcceptLoop] = []
        self._runners: list[web.AppRunner] = []
        self._files: list[Bound] = []
        self._dropped: Counter[tuple[str, Reason]] = Counter()
        self._logged = -LOG_PERIOD_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<ControlListeners {self._doors}>"

    async def serve(
        self, name: str, app: web.Application, sock: socket.socket, room: ConnectionQuota
    ) -> tuple[str, int]:
        """Serve an application; where."""
        server = await self._server(app)
        address: tuple[str, int] = sock.getsockname()[:2]
        self._open(AcceptLoop(name, sock, room, time.monotonic, self._note), server)
        return address

    async def serve_local(self, app: web.Application, bound: Bound, most: int = LOCAL) -> None:
        """Serve an application on a Unix socket, to `most` at a time or fewer."""
        self._files.append(bound)
        server = await self._server(app)
        self._open(
            AcceptLoop("socket", bound.sock, ConnectionQuota.unshared(min(most, LOCAL)), time.monotonic, self._note),
            server,
        )

    def facts(self) -> ListenerFacts:
        """How many connections there are, and how many have been dropped."""
        return ListenerFacts(
            {accept_loop.name: accept_loop.connections for accept_loop in self._doors},
            {
                (accept_loop.name, reason): count
                for accept_loop in self._doors
                for reason, count in accept_loop.dropped.items()
            },
        )

    def close(self) -> None:
        """Accept no more connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bound in self._files:
            bound.remove()
        for accept_loop in self._doors:
            accept_loop.close()

    async def cleanup(self) -> None:
        """Close, and end what is under way."""
        self.close()
        for running in self._runners:
            await running.cleanup()

    async def _server(self, app: web.Application) -> web.Server:
        running = web.AppRunner(
            app, access_log=None, shutdown_timeout=CLOSE_SECONDS, handle_signals=False, lingering_time=LINGER_SECONDS
        )
        self._runners.append(running)
        await running.setup()
        if running.server is None:
            raise RuntimeError("an application that was set up has no server")
        return running.server

    def _open(self, accept_loop: AcceptLoop, server: web.Server) -> None:
        self._doors.append(accept_loop)
        accept_loop.open(server)

    def _note(self, name: str, reason: Reason, count: int) -> None:
        """Count them for the next line."""
        self._dropped[name, reason] += count
        if self._timer is None:
            wait = max(self._logged + LOG_PERIOD_SECONDS - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._say)

    def _say(self) -> None:
        self._timer, self._logged = None, time.monotonic()
        found, self._dropped = self._dropped, Counter()
        for name in dict.fromkeys(name for name, _ in found):
            counts: dict[str, object] = {reason: count for (of, reason), count in found.items() if of == name}
            parts = ", ".join(f"{count} {REASON_TEXTS[reason]}" for (of, reason), count in found.items() if of == name)
            fields = {"listener": name, **counts}
            log.warning("connections to the %s listener: %s", name, parts, extra={"fields": fields})
