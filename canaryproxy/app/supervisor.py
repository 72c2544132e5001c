"""The control-plane process: signals, sd_notify, and the exit code.

SIGHUP reloads, SIGTERM and SIGINT drain, a second one aborts. As PID 1 it reaps orphans.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from setproctitle import setproctitle

from canaryproxy import MODE, __version__
from canaryproxy.app.instance import Instance, urls
from canaryproxy.app.worker import runner
from canaryproxy.config import Config
from canaryproxy.control.results import Reload
from canaryproxy.control.state import share
from canaryproxy.escape import escaped
from canaryproxy.log import caught, in_background
from canaryproxy.processes.listen import listening_text
from canaryproxy.processes.spawn import deny_dumps

log = logging.getLogger("canaryproxy")

# Seconds between two attempts to reap orphans.
REAP_PERIOD_SECONDS = 1.0

# Allocations before a collection. A report of a thousand busy routes has as many objects, none garbage yet.
GC_GEN0_THRESHOLD = 10_000


# Seconds until a thread that waits for the GIL gets it. The storage thread waits for it after every SQLite call: with
# Python's default of 5 ms, writes took a third longer while requests kept the loop busy.
SWITCH_INTERVAL_SECONDS = 0.0005

Address = tuple[str, int]
NO_SHARES: Mapping[str, str] = MappingProxyType({})


def banner(
    config: Config, addresses: tuple[Address, ...], admin: Address | None = None, shares: Mapping[str, str] = NO_SHARES
) -> str:
    """The startup line: listeners, and the share of each canary, by `shares` where given, else by the file."""
    listening = ", ".join(urls(config, addresses))
    files = {name: f"{percent(route.weight)} %" for name, route in config.routes.items()}
    found = {**files, **shares}
    if len(files) == 1:
        [(name, route)] = config.routes.items()
        at = "" if route.canary is None else f" {' '.join(map(str, route.canary.origins))}"
        canary = f", canary{at} at {found[name]}" if at or found[name] != files[name] else ""
        to = f"route {name}: stable {' '.join(map(str, route.stable.origins))}{canary}"
    else:
        named = (name if found[name] == file else f"{name}: canary at {found[name]}" for name, file in files.items())
        to = f"{len(files)} routes ({', '.join(named)})"
    asked = config.server.admin
    api = "" if admin is None or asked is None else f", admin http://{listening_text(asked.listen, admin)}"
    return f"canaryproxy {__version__} ({MODE}): {listening} -> {to}{api} (pid {os.getpid()})"


def say(line: str) -> None:
    """Print one line. A closed standard output does not stop the proxy."""
    with contextlib.suppress(OSError):
        print(escaped(line), flush=True)


def shares(instance: Instance) -> dict[str, str]:
    """Each canary's current share and its source, as text."""
    return {name: share(state) for name, state in instance.plane.ledger.state.items()}


def percent(basis_points: int) -> str:
    """Basis points as a percentage."""
    return f"{basis_points / 100:g}"


def notify(words: str) -> None:
    """Send a state to the service manager (sd_notify(3)), if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(words.encode())


async def reap() -> None:
    """Reap inherited orphans as PID 1 of a container. The event loop owns SIGCHLD, hence the polling."""
    while True:
        await asyncio.sleep(REAP_PERIOD_SECONDS)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] > 0:  # noqa: ASYNC222 - WNOHANG does not block
                continue


async def serve(instance: Instance, announce: Callable[[], None]) -> int:
    """Run `instance` until a signal; returns the exit code. Raises `ListenError`, `IncompatibleWorkerError`."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Queue[signal.Signals] = asyncio.Queue()
    reloads: set[asyncio.Task[Reload]] = set()
    started = asyncio.Event()

    async def reload() -> Reload:
        """Also what was asked for while we were starting."""
        await started.wait()
        return await instance.reload()

    def hang_up() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.put_nowait, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    reaping = loop.create_task(reap()) if os.getpid() == 1 else None
    try:
        return await _run_until_stopped(instance, announce, stopping, started)
    finally:
        if reaping is not None:
            reaping.cancel()


async def _run_until_stopped(
    instance: Instance, announce: Callable[[], None], stopping: "asyncio.Queue[signal.Signals]", started: asyncio.Event
) -> int:
    """Start and run until `stopping` delivers a signal. Returns the exit code."""
    loop = asyncio.get_running_loop()
    starting = loop.create_task(instance.start())
    early = loop.create_task(stopping.get())
    await asyncio.wait((starting, early), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return 128 + early.result()
    starting.result()
    started.set()
    # Objects made at start live as long as the process: keep them out of every later collection.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.set_threshold(GC_GEN0_THRESHOLD)
    announce()
    notify("READY=1")
    stranded = loop.create_task(instance.workers.stranded.wait())
    await asyncio.wait((early, stranded), return_when=asyncio.FIRST_COMPLETED)
    if not early.done():
        log.error("no worker is left and none can be started; stopping the instance: %s", instance.workers.problem)
        await instance.abort()
        return 1
    stranded.cancel()
    first = early.result()
    log.info("%s: draining", first.name)
    notify("STOPPING=1")
    draining = loop.create_task(instance.stop())
    again = loop.create_task(stopping.get())
    await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        draining.cancel()
        await instance.abort()
        return 128 + again.result()
    again.cancel()
    cut = draining.result()
    if cut:
        log.warning("%d exchanges outlasted the drain and were cut", cut)
    return 0


def run(config: Config, *, load: Callable[[], Config] | None = None, path: Path | None = None) -> int:
    """Serve `config` until a signal; returns the exit code. Raises `ListenError`."""
    setproctitle(f"canaryproxy: supervisor {path or ''}".strip())
    instance = Instance(config, load=load, path=path)
    deny_dumps()

    def announce() -> None:
        say(banner(instance.config, instance.addresses, instance.admin_address, shares(instance)))

    with caught(), in_background():
        with runner() as running:
            code = running.run(serve(instance, announce))
        log.info("served %s", instance.plane.counters)
    return code
