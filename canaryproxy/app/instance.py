"""One proxy as an object, and the composition root of the control plane: start, reload, stop.

Worker processes serve the requests; the two planes exchange only tables (down) and deltas (up).
"""

import asyncio
import errno
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path

from canaryproxy.admin.accept_loop import ConnectionQuota
from canaryproxy.admin.app import admin_application, probes_application, scrapes_of
from canaryproxy.admin.auth import Authenticator
from canaryproxy.admin.listeners import ControlListeners
from canaryproxy.admin.views import Views
from canaryproxy.config import Config
from canaryproxy.config.schema.admin import AccessLogConfig
from canaryproxy.control import hooks
from canaryproxy.control.compile import listen_addresses, worker_config
from canaryproxy.control.control_plane import ControlPlane, Environment
from canaryproxy.control.events import MAX_SUBSCRIBERS
from canaryproxy.control.file_watch import Watches
from canaryproxy.control.ports import ForeignStateError, Store
from canaryproxy.control.reconfiguration import warn_of_certificates
from canaryproxy.control.results import Reload
from canaryproxy.dataplane.tls import client_context
from canaryproxy.ipc.messages import WorkerConfig
from canaryproxy.model.report import Delta
from canaryproxy.probes import external_checks, health, scrape
from canaryproxy.probes.resolve import Lookup, system_lookup
from canaryproxy.processes import machine
from canaryproxy.processes.listen import Bound, ListenError, display, listen_at, listen_on, listening_text
from canaryproxy.processes.spawn import Processes
from canaryproxy.processes.subscriptions import Deltas, Subscription, WorkerReport
from canaryproxy.processes.workers import Workers
from canaryproxy.storage.memory import MemoryStore
from canaryproxy.storage.sqlite import SqliteStore
from canaryproxy.telemetry.record.distinct_users import SECRET_BYTES, UserNumbers
from canaryproxy.telemetry.record.log_writer import open_log

log = logging.getLogger("canaryproxy")

# Seconds between two analyses of the canaries.
JUDGE_PERIOD_SECONDS = 1.0
# Seconds between two checks of the watched files.
WATCH_PERIOD_SECONDS = 1.0
# Seconds between two warnings about a certificate that expires soon.
DAY_SECONDS = 86_400.0


class StorageUnavailableError(Exception):
    """The configured state file cannot be used; the message is one line for the user."""


class LogSetupError(Exception):
    """The access log cannot be opened; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class ControlSockets:
    """Sockets of the admin API and of the probes; None for those not configured."""

    admin: socket.socket | None
    probes: socket.socket | None
    local: Bound | None

    def close(self) -> None:
        """Close all of them."""
        for sock in filter(None, (self.admin, self.probes, None if self.local is None else self.local.sock)):
            sock.close()
        if self.local is not None:
            self.local.remove()


@dataclass(eq=False)
class Instance:
    """One proxy. `load` reads the config again, `path` is the file to watch, `report` gets every delta."""

    _config: Config
    _: KW_ONLY
    load: Callable[[], Config] | None = None
    path: Path | None = None
    report: Callable[[Delta], None] | None = None
    lookup: Lookup = system_lookup
    control_listeners: ControlListeners = field(default_factory=ControlListeners, init=False)
    addresses: tuple[tuple[str, int], ...] = field(default=(), init=False)
    admin_address: tuple[str, int] | None = field(default=None, init=False)
    probes_address: tuple[str, int] | None = field(default=None, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    def __repr__(self) -> str:
        return f"<Instance on {', '.join(map(display, self.addresses)) or 'nothing'}>"

    async def start(self) -> None:
        """Open the sockets, publish the first table, start the workers. Returns when they serve.

        Raises `ListenError`, `LogSetupError`, `StorageUnavailableError` and `IncompatibleWorkerError`.
        """
        server = self._config.server
        store = open_store(server.state)
        check_log(server.access_log, *filter(None, (self.path, state_location(server.state))))
        self._files_open = machine.raise_file_limit(machine.wanted_files(self._config))
        for words in machine.warnings(self._config, self._files_open):
            log.warning("%s", words)
        # Sockets first: an address in use must fail the start before any process exists.
        control_sockets, sockets = open_sockets(self._config)
        self.addresses = tuple(sock.getsockname()[:2] for sock in sockets)
        self._compose(sockets, store)
        try:
            await self._start_services(control_sockets)
        except BaseException:
            await self.abort()
            control_sockets.close()
            raise

    def _compose(self, sockets: list[socket.socket], store: Store) -> None:
        """Create all components and connect them."""
        count = self._config.server.workers or machine.usable_cpus()
        identity, secret = f"canaryproxy-{secrets.token_hex(4)}", secrets.token_bytes(SECRET_BYTES)
        self._numbers = UserNumbers(secret)
        self.connections = machine.connections(self._config, self._files_open)
        buffers = machine.buffers(self._config, self.connections)

        def begin(slot: int) -> WorkerConfig:
            first = worker_config(self._config, slot, count, identity, secret)
            return replace(first, limits=replace(first.limits, max_connections=self.connections, buffers=buffers))

        deltas: Deltas = Subscription()
        self.workers = Workers(count, Processes(sockets, count), begin, deltas)
        calls = health.over_http(client_context), hooks.over_http(client_context)
        sources = scrape.over_http(client_context), external_checks.over_http(client_context)
        outside = Environment(self.lookup, *calls, *sources, random.random, time.monotonic, time.time)
        listeners = min(MAX_SUBSCRIBERS, max(machine.connections_aside(self._files_open) // 4, 1))
        sizes = {"workers": count, "listeners": listeners}
        self.plane = ControlPlane(self._config, self.load, store, self.workers, deltas, outside, **sizes)
        if self.report is not None:
            report = self.report
            deltas.subscribe(lambda news: report(news.delta) if isinstance(news, WorkerReport) else None)

    async def _start_services(self, control_sockets: ControlSockets) -> None:
        """Start everything; the admin API listens first, so that readiness can be queried during the start."""
        await self._open_doors(control_sockets)
        reload = await self.plane.reconfiguration.start()
        await self.plane.rollouts.load_evidence()
        await self.workers.start()
        self.plane.rollouts.reloaded(reload)
        for work in (
            run_every_second(self._judge_loop),
            run_every_second(self.plane.rollouts.store_evidence),
            self._expire(),
        ):
            self._tasks.append(asyncio.get_running_loop().create_task(work))
        if self.path is not None:
            watches = Watches()
            watches.poll((self.path, *self.config.files))
            self._tasks.append(asyncio.get_running_loop().create_task(self._watch(self.path, watches)))

    async def _open_doors(self, control_sockets: ControlSockets) -> None:
        listeners = self.control_listeners
        urls_now = partial(urls, self._config, self.addresses)
        facts = time.monotonic, urls_now, self.connections, self._numbers, listeners.facts
        views = Views(self.plane, self.workers, *facts)
        places = machine.connections_aside(self._files_open)
        room, scrapes = ConnectionQuota.of(places), scrapes_of(views)
        if control_sockets.admin is not None:
            app = admin_application(views, Authenticator(lambda: self.config.server.admin), scrapes)
            self.admin_address = await listeners.serve("admin", app, control_sockets.admin, room)
        if control_sockets.probes is not None:
            app = probes_application(views, scrapes)
            self.probes_address = await listeners.serve("probes", app, control_sockets.probes, room)
        if control_sockets.local is not None:
            await listeners.serve_local(probes_application(views, scrapes), control_sockets.local, places)

    async def _judge_loop(self) -> None:
        """Analyse the canaries and advance the rollouts."""
        await self.plane.judges.tick(time.monotonic())
        await self.plane.rollouts.tick()

    async def reload(self) -> Reload:
        """Read the config again and log the result."""
        return await self.plane.reconfiguration.reload()

    async def _expire(self) -> None:
        """Warn once a day about certificates that expire soon."""
        while True:
            warn_of_certificates(self.config, time.time())
            await asyncio.sleep(DAY_SECONDS)

    @property
    def config(self) -> Config:
        """The effective config: the file's, with the canaries set over the API."""
        return self.plane.topology.config

    async def stop(self) -> int:
        """Drain and close. Returns the number of exchanges that were cut."""
        cut = await self.workers.drain(self._config.server.timeouts.drain)
        await self._end()
        return cut

    async def abort(self) -> None:
        """Close everything now."""
        self.workers.abort()
        await self._end()

    async def _end(self) -> None:
        self.plane.stop()
        for task in self._tasks:
            task.cancel()
        await self.control_listeners.cleanup()
        await self.plane.close()

    async def _watch(self, path: Path, watches: Watches) -> None:
        while True:
            await asyncio.sleep(WATCH_PERIOD_SECONDS)
            for gone in await asyncio.to_thread(watches.poll, (path, *self.config.files)):
                log.warning("%s was deleted; keeping the last configuration", gone)
            if watches.changed:
                await self.reload()


def urls(config: Config, addresses: Sequence[tuple[str, int]]) -> list[str]:
    """The URLs of the listeners, in the order of the file."""
    pairs = zip(config.server.listen, addresses, strict=False)
    return [f"{'https' if one.tls else 'http'}://{listening_text(one.address, at)}" for one, at in pairs]


async def run_every_second(what: Callable[[], Awaitable[None]]) -> None:
    """Run `what` once a second until cancelled; exceptions are logged."""
    while True:
        await asyncio.sleep(JUDGE_PERIOD_SECONDS)
        try:
            await what()
        except Exception:
            log.exception("rollout tick failed, retrying in 1 s")


def check_log(config: AccessLogConfig | None, *others: Path) -> None:
    """Check that workers can write the access log, and that it is none of the `others`. Raises `LogSetupError`."""
    if config is None or config.path == "-":
        return
    if os.path.realpath(config.path) in map(os.path.realpath, others):
        raise LogSetupError(f"cannot write the access log {config.path}: it is the config or the state")
    try:
        os.close(open_log(config.path))
    except OSError as error:
        why = "it is a socket, or a named pipe that nothing reads" if error.errno == errno.ENXIO else error.strerror
        raise LogSetupError(f"cannot write the access log {config.path}: {why}") from None


def state_location(state: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The path of the state file; None for `memory`."""
    return None if state == "memory" else probe_socket_path(state, environ)


def open_store(path: str, environ: Mapping[str, str] = os.environ) -> Store:
    """The state storage. Raises `StorageUnavailableError` for a file that is not ours."""
    file = state_location(path, environ)
    if file is None:
        return MemoryStore()
    store = SqliteStore(file)
    try:
        store.check()
    except ForeignStateError as error:
        message = f"`state: {path}` cannot be used: {error}; `state: memory` keeps nothing"
        raise StorageUnavailableError(message) from None
    return store


def open_sockets(config: Config) -> tuple[ControlSockets, list[socket.socket]]:
    """The sockets of the control plane, then the listeners for requests. Raises `ListenError`."""
    opened: list[socket.socket] = []

    def listening(host: str, port: int) -> socket.socket:
        opened.append(listen_on(host, port))
        return opened[-1]

    admin, probes = config.server.admin, config.server.probes
    try:
        asked = (None if one is None else one.listen for one in (admin, probes))
        first, second = (None if at is None else listening(at.host, at.port) for at in asked)
        sockets = [listening(host, port) for host, port in listen_addresses(config)]
        path = None if probes is None or probes.socket is None else probe_socket_path(probes.socket)
        return ControlSockets(first, second, None if path is None else listen_at(path)), sockets
    except ListenError:
        for sock in opened:
            sock.close()
        raise


def probe_socket_path(path: str, environ: Mapping[str, str] = os.environ) -> Path:
    """A path relative to the state directory (STATE_DIRECTORY, systemd.exec(5)), else to the working directory."""
    return Path(environ.get("STATE_DIRECTORY", "").split(":")[0], path)
