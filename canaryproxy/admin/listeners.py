"""The listeners of the control plane, each with its own connection slots: a flood of one does not block another."""

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

Address = tuple[str, int]

log = logging.getLogger("canaryproxy")

# Time for requests in flight at shutdown.
CLOSE_SECONDS = 1.0
# Time to drain the body of a request that was answered before its end.
LINGER_SECONDS = 2.0

# Connections to the Unix socket: only probes of the same user connect to it.
LOCAL = 16

# Interval of log lines about dropped connections.
LOG_PERIOD_SECONDS = 10.0

REASON_TEXTS: Mapping[Reason, str] = {
    "evicted": "evicted for newer connections",
    "header_timeout": "sent no complete request in time",
    "header_too_large": "sent a request head that is too large",
    "write_timeout": "did not read their response",
    "busy": "refused: too many requests in flight",
    "silent": "refused: silent during a connection flood",
    "no_descriptors": "closed: out of file descriptors",
}


class ControlListeners:
    """All control plane listeners of one instance."""

    def __init__(self) -> None:
        self._loops: list[AcceptLoop] = []
        self._runners: list[web.AppRunner] = []
        self._sockets: list[Bound] = []
        self._dropped: Counter[tuple[str, Reason]] = Counter()
        self._logged = -LOG_PERIOD_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<ControlListeners {self._loops}>"

    async def serve(self, name: str, app: web.Application, sock: socket.socket, quota: ConnectionQuota) -> Address:
        """Serve an application on a bound TCP socket. Returns its address."""
        address: Address = sock.getsockname()[:2]
        await self._open(app, name, sock, quota)
        return address

    async def serve_local(self, app: web.Application, bound: Bound, most: int = LOCAL) -> None:
        """Serve an application on a Unix socket, with at most `most` connections."""
        self._sockets.append(bound)
        await self._open(app, "socket", bound.sock, ConnectionQuota.unshared(min(most, LOCAL)))

    def facts(self) -> ListenerFacts:
        """Open and dropped connections for the metrics."""
        return ListenerFacts(
            {one.name: one.connections for one in self._loops},
            {(one.name, reason): count for one in self._loops for reason, count in one.dropped.items()},
        )

    def close(self) -> None:
        """Stop accepting connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bound in self._sockets:
            bound.remove()
        for accept_loop in self._loops:
            accept_loop.close()

    async def cleanup(self) -> None:
        """Close, and end requests in flight."""
        self.close()
        for running in self._runners:
            await running.cleanup()

    async def _open(self, app: web.Application, name: str, sock: socket.socket, quota: ConnectionQuota) -> None:
        running = web.AppRunner(
            app, access_log=None, shutdown_timeout=CLOSE_SECONDS, handle_signals=False, lingering_time=LINGER_SECONDS
        )
        self._runners.append(running)
        await running.setup()
        if running.server is None:
            raise RuntimeError("the application has no server after setup")
        accept_loop = AcceptLoop(name, sock, quota, time.monotonic, self._note)
        self._loops.append(accept_loop)
        accept_loop.open(running.server)

    def _note(self, name: str, reason: Reason, count: int) -> None:
        """Count dropped connections for the next log line."""
        self._dropped[name, reason] += count
        if self._timer is None:
            wait = max(self._logged + LOG_PERIOD_SECONDS - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._log)

    def _log(self) -> None:
        self._timer, self._logged = None, time.monotonic()
        found, self._dropped = self._dropped, Counter()
        for name in dict.fromkeys(name for name, _ in found):
            counts: dict[str, object] = {reason: count for (of, reason), count in found.items() if of == name}
            parts = ", ".join(f"{count} {REASON_TEXTS[reason]}" for (of, reason), count in found.items() if of == name)
            fields = {"listener": name, **counts}
            log.warning("connections dropped by the %s listener: %s", name, parts, extra={"fields": fields})
