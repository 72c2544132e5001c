"""`canaryproxy demo --play`: two shops and the proxy in one process, with live figures until the end."""

import asyncio
import contextlib
import os
import random
import shlex
import socket
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from canaryproxy import log
from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import runner
from canaryproxy.cli import output
from canaryproxy.cli.demo.shop import CANARY, STABLE, start_shop
from canaryproxy.cli.demo.traffic import customers, in_background, stop_event, ticks
from canaryproxy.cli.explain import as_lines, client, explanation, request_head
from canaryproxy.config import Config, load
from canaryproxy.processes.listen import display
from canaryproxy.telemetry.read.window import MAX_WINDOW_SECONDS, Window

PORT = 8080
ADMIN_PORT = 9900
# The route of the customers and the figures.
MAIN = "shop"

SEED = 20_26

COLUMNS = ("version", "requests", "weight", "share", "req/s", "errors", "p50", "p95")

# Window of the request rate.
RATE_SECONDS = 10.0

CONFIG = """\
# The demo's config. Change the weight and save: the split follows within a second.
server:
  listen: 127.0.0.1:{port}
  admin: {{listen: 127.0.0.1:{admin}}}
  state: memory
routes:
  shop:
    stable: http://127.0.0.1:{stable}
    canary: http://127.0.0.1:{canary}
    weight: {weight}
    rules:
      - name: testers            # always see the canary, at any weight
        headers: {{x-internal-tester: "true"}}
        to: canary
  account:
    paths: [/account]
    stable: http://127.0.0.1:{stable}
    canary: http://127.0.0.1:{canary}
    weight: 50
    affinity: cookie             # a browser keeps its version
"""

TESTER = "X-Internal-Tester: true"


def run_demo(*, weight: float, rate: float, seconds: float | None) -> int:
    """Run until Ctrl-C or for `seconds`. Returns the exit code."""
    with runner() as running, tempfile.TemporaryDirectory(prefix="canaryproxy-demo-") as folder:
        return running.run(_run(Path(folder) / "demo.yaml", weight=weight, rate=rate, seconds=seconds))


async def _run(path: Path, *, weight: float, rate: float, seconds: float | None) -> int:
    console, ended = output.console(), stop_event()
    async with contextlib.AsyncExitStack() as stack:
        _, stable = await start_shop(stack, STABLE, random.Random(SEED))
        _, canary = await start_shop(stack, CANARY, random.Random(SEED + 1))
        port, admin = _free_port(PORT), _free_port(ADMIN_PORT)
        text = CONFIG.format(port=port, admin=admin, stable=stable, canary=canary, weight=f"{weight:g}")
        await asyncio.to_thread(path.write_text, text, "utf-8")

        def reread() -> Config:
            return load(path, os.environ)

        instance = Instance(reread(), load=reread, path=path)
        await instance.start()
        stack.push_async_callback(instance.stop)
        base = f"http://{display(instance.addresses[0])}"
        _introduce(console, base, path, instance)
        async with in_background(customers(base, rate, random.Random(SEED + 2))):
            await _show(console, instance, ended, seconds)
    return 0


def _free_port(first: int) -> int:
    for wanted in (first, 0):  # any free port if the usual one is taken
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            port: int = probe.getsockname()[1]
            return port
    raise RuntimeError("no free port on 127.0.0.1")


def _introduce(console: Console, base: str, path: Path, instance: Instance) -> None:
    admin = "" if instance.admin_address is None else f" --admin http://{display(instance.admin_address)}"
    lines = [
        f"canaryproxy serves two versions of a small shop at {base}. Try in another terminal:",
        "",
        f"  curl {base}/",
        f"  curl {base}/products",
        f"  curl -H 'Content-Type: application/json' -d '{{\"product\": 2}}' {base}/cart",
        f"  for i in $(seq 100); do curl -s {base}/; done | sort | uniq -c",
        "",
        "An internal tester always gets the canary; a browser keeps its version:",
        "",
        f"  curl -H '{TESTER}' {base}/",
        f"  for i in 1 2 3; do curl -s -c {path.parent}/jar -b {path.parent}/jar {base}/account; done",
        "",
        "Why does a request get its version?",
        "",
        *explained(path, ["--header", TESTER, "GET", f"{base}/"]),
        *explained(path, ["GET", f"{base}/"]),
        *explained(path, ["GET", f"{base}/account"]),
        "",
        "Send half of the requests to the canary, show the status and the history:",
        "",
        *(f"  {program()} {command}{admin}" for command in (f"weight {MAIN} 50", "status", f"history {MAIN}")),
        "",
        f"Editing the weight in {path} changes the split too. Ctrl-C ends the demo.",
        "",
    ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def program() -> str:
    """The command of this program."""
    called = [sys.argv[0]] if Path(sys.argv[0]).name == "canaryproxy" else [sys.executable, "-m", "canaryproxy"]
    return shlex.join(called)


def explained(path: Path, arguments: list[str]) -> list[str]:
    """An `explain` command and the first line of its output."""
    *options, method, url = arguments
    config, headers = load(path, os.environ), options[1::2]
    data = explanation(config, request_head(method, url, headers, []), client(config, url, "127.0.0.1"))
    command = f"{program()} {shlex.join(['explain', str(path), *arguments])}"
    return [f"  {command}", f"    {as_lines(data)[0]}"]


async def _show(console: Console, instance: Instance, ended: asyncio.Event, seconds: float | None) -> None:
    clock = asyncio.get_running_loop().time
    deadline = None if seconds is None else clock() + seconds
    log.configure()

    def now() -> list[list[str]]:
        return rows(instance.plane.window, instance.plane.ledger.state[MAIN].weight / 100, clock())

    if output.is_rich(sys.stdout, os.environ):
        with Live(table(now()), console=console, auto_refresh=False) as live:
            await ticks(ended, deadline, lambda: live.update(table(now()), refresh=True))
    else:
        await ticks(ended, deadline, lambda: console.print(line(now()), soft_wrap=True))
    stable, canary = (int(row[1].replace(",", "")) for row in now())
    console.print(f"{stable + canary:,} requests served, {canary:,} of them ({now()[1][3]}) by the canary.")


def rows(window: Window, weight: float, now: float) -> list[list[str]]:
    """The figures of stable and canary, as cells of `COLUMNS`. Requests decided by rules are not counted."""
    samples = [(version, window.sample((MAIN, version), now, MAX_WINDOW_SECONDS)) for version in ("stable", "canary")]
    total = sum(sample.requests for _, sample in samples)
    found = []
    for version, sample in samples:
        recent = window.sample((MAIN, version), now, RATE_SECONDS)
        found.append(
            [
                version,
                f"{sample.requests:,}",
                f"{weight if version == 'canary' else 100 - weight:g} %",
                _number(100 * sample.requests / total if total else None, ".2f", " %"),
                f"{recent.requests / RATE_SECONDS:.1f}",
                _number(sample.error_rate, ".2%", "").replace("%", " %"),
                *(_number(_milliseconds(sample.quantile(q)), ".1f", " ms") for q in (0.5, 0.95)),
            ]
        )
    return found


def table(cells: list[list[str]]) -> Table:
    """The figures as a table."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column(COLUMNS[0])
    for column in COLUMNS[1:]:
        shown.add_column(column, justify="right", min_width=8)
    for row in cells:
        shown.add_row(*row)
    return shown


def line(cells: list[list[str]]) -> str:
    """The figures on one line, for output that is not a terminal."""
    return "  |  ".join(
        f"{version}: {requests} requests ({share}), errors {errors}, p50 {p50}, p95 {p95}"
        for version, requests, _, share, _, errors, p50, p95 in cells
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _number(value: float | None, form: str, unit: str) -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
