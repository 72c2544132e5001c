"""The composition root: config to running proxy, signals to reload and drain.

An `Instance` is the proxy as an object: start it, reload it, stop it. `serve` wraps it in a process's life:
SIGHUP and a changed file reload, SIGTERM and SIGINT drain, a second one ends at once. Both planes share
this process; they meet only in `publish` and `deltas`.
"""

import asyncio
import gc
import logging
import os
import resource
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from canaryproxy import __version__
from canaryproxy.config import Config
from canaryproxy.config.route import VersionConfig
from canaryproxy.config.schema import AccessLogConfig
from canaryproxy.control.compile import certificates, listen_addresses, plane_settings
from canaryproxy.control.controller import Controller, Reload
from canaryproxy.control.health import over_http
from canaryproxy.control.listen import display, listen_on
from canaryproxy.control.resolve import Lookup, system_lookup
from canaryproxy.control.watch import Watches
from canaryproxy.model.delta import Delta
from canaryproxy.proxy.plane import DataPlane
from canaryproxy.proxy.tls import client_context
from canaryproxy.telemetry.accesslog import FORMATS
from canaryproxy.telemetry.sink import Sink
from canaryproxy.telemetry.totals import Totals

log = logging.getLogger("canaryproxy")

WATCH_PERIOD = 1.0
"""Seconds between two looks at the config file."""

COLLECT_PERIOD = 0.25
"""Seconds between two deltas."""

SPARE_FILES = 64
FILES_PER_CONNECTION = 2


class CannotLog(Exception):
    """The access log cannot be opened; the message is one line for the user."""


class Instance:
    """One proxy. `load` reads the config anew on reload; `path` is the file to watch, if there is one;
    `report` gets every delta of the data plane.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config] | None = None,
        path: Path | None = None,
        report: Callable[[Delta], None] = lambda _: None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._config = config
        self._load = load
        self._path = path
        self._report = report
        self._lookup = lookup
        self._sink: Sink | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.addresses: tuple[tuple[str, int], ...] = ()

    def __repr__(self) -> str:
        return f"<Instance on {', '.join(map(display, self.addresses)) or 'nothing'}>"

    async def start(self) -> None:
        """Open the sockets, publish the first table, accept. Raises `CannotListen` and `CannotLog`."""
        loop = asyncio.get_running_loop()
        self._sink = open_log(self._config.server.access_log)
        sockets = [listen_on(host, port) for host, port in listen_addresses(self._config)]
        self.addresses = tuple(sock.getsockname()[:2] for sock in sockets)
        settings = plane_settings(self._config)
        self._plane = DataPlane(
            settings,
            loop=loop,
            identity=f"canaryproxy-{secrets.token_hex(4)}",
            access_log=None if self._sink is None else self._sink.put,
        )
        self._controller = Controller(
            self._config, self._plane, self._load, ask=over_http(client_context), lookup=self._lookup
        )
        await self._controller.start()
        listeners = zip(sockets, certificates(self._config), self._config.server.listen, strict=True)
        for sock, tls, listener in listeners:
            await self._plane.listen(sock, tls, preamble=listener.proxy_protocol)
        self._tasks.append(loop.create_task(self._collect()))
        if self._path is not None:
            watches = Watches()
            watches.poll(self._files(self._path))
            self._tasks.append(loop.create_task(self._watch(self._path, watches)))

    async def reload(self) -> Reload:
        """Read the config again and say in the log what came of it."""
        reload = await self._controller.reload()
        if reload.problem:
            log.error("the config was not applied, generation %d goes on:\n%s", reload.generation, reload.problem)
        elif reload.changed:
            log.info("the config was applied as generation %d", reload.generation)
        if reload.restart:
            log.warning("`server:` differs from what this process was started with; that part needs a restart")
        return reload

    def weights(self) -> dict[str, int]:
        """Each route's weight in basis points, as the config says now."""
        return {name: route.weight for name, route in self._controller.config.routes.items()}

    async def stop(self) -> int:
        """Drain, close and report what was counted last; returns the number of exchanges that were cut."""
        cut = await self._plane.drain()
        self._end()
        self._report(self._plane.deltas())
        return cut

    def abort(self) -> None:
        """Close everything now."""
        self._plane.abort()
        self._end()

    def _end(self) -> None:
        self._controller.stop()
        for task in self._tasks:
            task.cancel()
        if self._sink is not None:
            self._sink.close()

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_PERIOD)
            self._report(self._plane.deltas())

    def _files(self, path: Path) -> tuple[Path, ...]:
        """What is watched: the config, and the files that it refers to."""
        return (path, *self._controller.config.files)

    async def _watch(self, path: Path, watches: Watches) -> None:
        while True:
            await asyncio.sleep(WATCH_PERIOD)
            for gone in await asyncio.to_thread(watches.poll, self._files(path)):
                log.warning("the file %s is gone; what it said last goes on", gone)
            if watches.changed:
                await self.reload()


def banner(config: Config, addresses: tuple[tuple[str, int], ...]) -> str:
    """The one line that says what listens where."""
    schemes = ["https" if listener.tls else "http" for listener in config.server.listen]
    listening = ", ".join(f"{scheme}://{display(at)}" for scheme, at in zip(schemes, addresses, strict=False))
    routes = [
        f"{name}: stable {where(route.stable)}, canary {where(route.canary)} at {percent(route.weight)} %"
        for name, route in config.routes.items()
    ]
    to = f"route {routes[0]}" if len(routes) == 1 else f"{len(routes)} routes ({', '.join(config.routes)})"
    return f"canaryproxy {__version__}: {listening} -> {to} (pid {os.getpid()})"


def where(version: VersionConfig) -> str:
    """The URLs of a version as written."""
    return " ".join(map(str, version.origins))


def open_log(config: AccessLogConfig | None) -> Sink | None:
    """The access log, if one is wanted. Raises `CannotLog`."""
    if config is None:
        return None
    try:
        return Sink(config.path, FORMATS[config.format], now=time.time)
    except OSError as error:
        raise CannotLog(f"cannot write the access log {config.path}: {error.strerror}") from None


def percent(basis_points: int) -> str:
    """Basis points as the percentage a user would write."""
    return f"{basis_points / 100:g}"


async def serve(instance: Instance, announce: Callable[[], None]) -> int:
    """Run `instance` until a signal ends it; returns the exit code. Raises `CannotListen`."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Queue[signal.Signals] = asyncio.Queue()
    reloads: set[asyncio.Task[Reload]] = set()

    def hang_up() -> None:
        task = loop.create_task(instance.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    await instance.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.put_nowait, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    gc.collect()
    gc.freeze()
    announce()
    first = await stopping.get()
    log.info("%s: draining", first.name)
    draining = loop.create_task(instance.stop())
    again = loop.create_task(stopping.get())
    await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        instance.abort()
        draining.cancel()
        return 128 + again.result()
    again.cancel()
    cut = draining.result()
    if cut:
        log.warning("%d exchanges outlasted the drain and were cut", cut)
    return 0


def run(config: Config, *, load: Callable[[], Config] | None = None, path: Path | None = None) -> int:
    """The process: serve `config` until a signal; returns the exit code. Raises `CannotListen`."""
    raise_file_limit(config.server.limits.max_connections * FILES_PER_CONNECTION + SPARE_FILES)
    totals = Totals()
    instance = Instance(config, load=load, path=path, report=totals.add)
    with runner() as running:
        code = running.run(serve(instance, lambda: print(banner(config, instance.addresses), flush=True)))
    log.info("served %s", totals)
    return code


def runner() -> asyncio.Runner:
    """A runner on uvloop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def raise_file_limit(wanted: int) -> None:
    """Raise the soft limit of open files towards `wanted`, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
