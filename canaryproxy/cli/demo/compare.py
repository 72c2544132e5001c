"""`canaryproxy demo --compare`: nine replicas and a canary behind a round-robin, beside this proxy at 1 %."""

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.table import Table

from canaryproxy import log
from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import runner
from canaryproxy.cli import output
from canaryproxy.cli.demo.beside import CustomerResults, closing, facts, rows
from canaryproxy.cli.demo.robin import Robin
from canaryproxy.cli.demo.shop import STABLE, ShopVersion, start_shop
from canaryproxy.config import parse
from canaryproxy.processes.listen import display

STABLE_REPLICAS = 9
WEIGHT = 1.0
CUSTOMERS = 300
TESTERS = 5
SECONDS = 30.0
MAX_CONCURRENT = 60
SEED = 91
BAD = ShopVersion("canary", "Welcome to the new shop!", 0.009, 0.3)
"""A canary with a bug: three in ten of its answers are failures."""

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: {{listen: "127.0.0.1:0"}}, state: memory, workers: 1}}
stable: {{endpoints: [{stable}]}}
canary: http://127.0.0.1:{canary}
weight: {weight:g}
affinity: {{header: x-customer}}
rules: [{{name: testers, headers: {{x-internal-tester: "true"}}, to: canary}}]
"""


def run_compare(*, rate: float, seconds: float | None, as_json: bool) -> int:
    """Run both ways side by side for a while; the exit code."""
    with runner() as running:
        return running.run(_run(rate, SECONDS if seconds is None else seconds, as_json=as_json))


@contextlib.asynccontextmanager
async def _both(rng: random.Random) -> AsyncIterator[tuple[int, Instance]]:
    """The replicas, the round-robin's port, and the proxy before the same replicas."""
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for version in (*[STABLE] * STABLE_REPLICAS, BAD):
            shop, port = await start_shop(version, rng)
            stack.push_async_callback(shop.cleanup)
            ports.append(port)
        robin = Robin(ports)
        stack.push_async_callback(robin.stop)
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports[:-1])
        instance = Instance(parse(CONFIG.format(stable=urls, canary=ports[-1], weight=WEIGHT), "compare", {}))
        await instance.start()
        stack.push_async_callback(instance.stop)
        yield await robin.start(), instance


async def _run(rate: float, seconds: float, *, as_json: bool) -> int:
    console, ended, rng = output.console(), asyncio.Event(), random.Random(SEED)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    log.configure()
    primitive, ours = CustomerResults(), CustomerResults()
    async with _both(rng) as (robin, instance):
        here = f"http://{display(instance.addresses[0])}"
        if not as_json:
            console.print(
                f"Nine stable replicas and a canary that fails 30 % of its requests, twice: behind a round-robin of "
                f"connections (http://127.0.0.1:{robin}), and behind canaryproxy at {WEIGHT:g} % ({here}). The same "
                f"{CUSTOMERS} customers and {TESTERS} testers visit both.\n",
                highlight=False,
            )
        load = asyncio.create_task(_visits({f"http://127.0.0.1:{robin}": primitive, here: ours}, rate, rng))
        try:
            await _watch(console, primitive, ours, ended, seconds, quiet=as_json)
        finally:
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load
        back = await _way_back(instance)
    if as_json:
        data = {"round_robin": facts(primitive), "canaryproxy": facts(ours), "way_back_seconds": round(back, 6)}
        print(json.dumps(data, indent=2))
    else:
        console.print("\n".join(closing(primitive, ours, WEIGHT, back)), highlight=False, soft_wrap=True)
    return 0


async def _visits(ways: dict[str, CustomerResults], rate: float, rng: random.Random) -> None:
    """Customers and testers, each visit a connection of its own, the same on both ways."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(rng.expovariate(rate))
            if len(under_way) >= MAX_CONCURRENT:
                continue
            customer = rng.randrange(CUSTOMERS + TESTERS)
            for base, results in ways.items():
                task = group.create_task(_visit(session, base, customer, results))
                under_way.add(task)
                task.add_done_callback(under_way.discard)


async def _visit(session: aiohttp.ClientSession, base: str, customer: int, results: CustomerResults) -> None:
    tester = customer >= CUSTOMERS
    headers = {"X-Customer": f"customer-{customer}"} | ({"X-Internal-Tester": "true"} if tester else {})
    try:
        async with session.get(f"{base}/products", headers=headers) as response:
            version = (await response.json())["version"]
            results.count(customer, version, failed=response.status >= 500, tester=tester)
    except (aiohttp.ClientError, TimeoutError):
        results.count(customer, "none", failed=True, tester=tester)


async def _watch(
    console: Console,
    primitive: CustomerResults,
    ours: CustomerResults,
    ended: asyncio.Event,
    seconds: float,
    *,
    quiet: bool,
) -> None:
    """Show both ways once a second until the end."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    with contextlib.ExitStack() as stack:
        live = None
        if not quiet and sys.stdout.isatty():
            live = stack.enter_context(Live(table(primitive, ours), console=console, auto_refresh=False))
        while not ended.is_set() and clock() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), min(1.0, max(deadline - clock(), 0.01)))
            if live is not None:
                live.update(table(primitive, ours), refresh=True)
        if live is None and not quiet:
            console.print(table(primitive, ours))


def table(primitive: CustomerResults, ours: CustomerResults) -> Table:
    """Both ways side by side."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("")
    shown.add_column("9 + 1 replicas, round-robin", justify="right")
    shown.add_column(f"canaryproxy, {WEIGHT:g} %", justify="right")
    for row in rows(primitive, ours):
        shown.add_row(*row)
    return shown


async def _way_back(instance: Instance) -> float:
    """Seconds that `PUT weight 0` takes until every worker follows."""
    if instance.admin_address is None:
        raise RuntimeError("the demo's proxy has no admin API")
    url = f"http://{display(instance.admin_address)}/api/v1/routes/default/weight"
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        async with session.put(url, json={"canary": 0}) as response:
            response.raise_for_status()
        return time.perf_counter() - began
