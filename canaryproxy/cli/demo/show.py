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
from canaryproxy.cli.demo.figures import Board, Figures
from canaryproxy.cli.demo.shop import CANARY, STABLE, start_shop
from canaryproxy.cli.demo.traffic import customers, in_background, stop_event, ticks
from canaryproxy.cli.explain import as_lines, client, explanation, request_head
from canaryproxy.config import Config, load
from canaryproxy.processes.listen import display

PORT = 8080
ADMIN_PORT = 9900
MAIN = "shop"
"""The route of the customers and the figures."""

SEED = 20_26

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
    stable, stable_port = await start_shop(STABLE, random.Random(SEED))
    canary, canary_port = await start_shop(CANARY, random.Random(SEED + 1))
    port, admin = _free_port(PORT), _free_port(ADMIN_PORT)
    text = CONFIG.format(port=port, admin=admin, stable=stable_port, canary=canary_port, weight=f"{weight:g}")
    await asyncio.to_thread(path.write_text, text, "utf-8")

    def reread() -> Config:
        return load(path, os.environ)

    board = Board(MAIN)
    instance = Instance(reread(), load=reread, path=path, report=board.add)
    await instance.start()
    base = f"http://{display(instance.addresses[0])}"
    _introduce(console, base, path, instance)
    try:
        async with in_background(customers(base, rate, random.Random(SEED + 2))):
            await _show(console, instance, board, ended, seconds)
    finally:
        await instance.stop()
        await stable.cleanup()
        await canary.cleanup()
    console.print(closing(board.figures()))
    return 0


def _free_port(first: int) -> int:
    for wanted in (first, 0):
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


async def _show(
    console: Console, instance: Instance, board: Board, ended: asyncio.Event, seconds: float | None
) -> None:
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    log.configure()
    if not output.is_rich(sys.stdout, os.environ):
        await ticks(ended, deadline, lambda: console.print(line(board.figures()), soft_wrap=True))
        return
    with Live(table(instance, board), console=console, auto_refresh=False) as live:
        await ticks(ended, deadline, lambda: live.update(table(instance, board), refresh=True))


def table(instance: Instance, board: Board) -> Table:
    """The figures of both versions as a table."""
    weight = instance.plane.ledger.state[MAIN].weight / 100
    asked = {"stable": 100 - weight, "canary": weight}
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("version")
    for column in ("requests", "asked", "share", "req/s", "errors", "p50", "p95"):
        shown.add_column(column, justify="right", min_width=8)
    for figures in board.figures():
        shown.add_row(
            figures.version,
            f"{figures.requests:,}",
            f"{asked[figures.version]:g} %",
            _number(figures.share, ".2f", " %"),
            f"{figures.per_second:.1f}",
            _number(figures.errors, ".2f", " %"),
            _number(figures.p50, ".1f", " ms"),
            _number(figures.p95, ".1f", " ms"),
        )
    return shown


def line(figures: list[Figures]) -> str:
    """The figures on one line, for output that is not a terminal."""
    return "  |  ".join(
        f"{one.version}: {one.requests} requests ({_number(one.share, '.2f', ' %')}), "
        f"errors {_number(one.errors, '.2f', ' %')}, p50 {_number(one.p50, '.1f', ' ms')}, "
        f"p95 {_number(one.p95, '.1f', ' ms')}"
        for one in figures
    )


def closing(figures: list[Figures]) -> str:
    """A summary for the end."""
    total = sum(one.requests for one in figures)
    canary = next(one for one in figures if one.version == "canary")
    return (
        f"{total:,} requests served, {canary.requests:,} of them ({_number(canary.share, '.2f', ' %')}) by the canary."
    )


def _number(value: float | None, form: str, unit: str) -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
