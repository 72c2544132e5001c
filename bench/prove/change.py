"""Nothing is lost while the config changes or the process ends: every request sent gets its answer."""

import asyncio
import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.ports import free_port
from bench.processes import canaryproxy, nginx_origin, running, wait_for
from bench.prove import DisprovedError
from bench.prove.client import Tally, keep_asking

CLIENTS = 40
BODIES = {b"stable", b"canary"}


Proxy = tuple["subprocess.Popen[bytes]", int, Callable[[int], None]]


@contextlib.contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy on a config file before two nginx; yields process, port, and what writes another weight."""
    with contextlib.ExitStack() as stack:
        yield from _proxy(stack)


def _proxy(stack: contextlib.ExitStack) -> Iterator[Proxy]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
    folder.chmod(0o755)
    stable, canary, listen = free_port(), free_port(), free_port()
    for port, body in ((stable, "stable"), (canary, "canary")):
        stack.enter_context(running(nginx_origin(folder, port, body), port=port))
    path = folder / "prove.yaml"

    def write(weight: int) -> None:
        new = path.with_suffix(".new")
        new.write_text(
            f"server: {{listen: '127.0.0.1:{listen}', admin: {{listen: '127.0.0.1:0'}}, state: memory}}\nstable: http://127.0.0.1:{stable}\n"
            f"canary: http://127.0.0.1:{canary}\nweight: {weight}\n"
        )
        new.replace(path)

    write(50)
    process = subprocess.Popen(canaryproxy(str(path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(listen, process)
        yield process, listen, write
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def reload_under_load(times: int = 100) -> str:
    """Five reloads a second under load."""
    return asyncio.run(_reload_under_load(times))


async def _reload_under_load(times: int) -> str:
    with proxy() as (process, port, write):
        tally, stop = Tally(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(keep_asking(port, BODIES, tally, stop))
            began = time.monotonic()
            for number in range(times):
                write(number % 101)
                process.send_signal(signal.SIGHUP)
                await asyncio.sleep(max(0.0, began + (number + 1) * 0.2 - time.monotonic()))
            stop.set()
        spent = time.monotonic() - began
    said = f"{times} reloads in {spent:.1f} s, {tally.answered:,} requests answered, {len(tally.failures)} failed"
    if tally.failures or tally.refused or process.returncode not in (-9, 0):
        raise DisprovedError(f"{said}; {tally.refused} refused; {tally.failures[:3]}")
    return said


def drain_under_load(times: int = 10) -> str:
    """SIGTERM under load, several times."""
    return asyncio.run(_drain_under_load(times))


async def _drain_under_load(times: int) -> str:
    answered = after = 0
    slowest = 0.0
    for _ in range(times):
        with proxy() as (process, port, _write):
            tally, stop = Tally(), asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for _client in range(CLIENTS):
                    group.create_task(keep_asking(port, BODIES, tally, stop))
                await asyncio.sleep(1.0)
                before, began = tally.answered, time.monotonic()
                process.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(process.wait, 40)
                slowest = max(slowest, time.monotonic() - began)
                stop.set()
        answered += tally.answered
        after += tally.answered - before
        if tally.failures or code:
            raise DisprovedError(f"exit code {code}, {len(tally.failures)} failed: {tally.failures[:3]}")
    return (
        f"{times} times: {answered:,} requests answered, {after:,} of them after the signal, 0 failed, "
        f"exit code 0, at most {slowest:.1f} s to the end"
    )
