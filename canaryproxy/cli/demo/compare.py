"""`canaryproxy demo --compare`: nine replicas and a canary behind round-robin, next to canaryproxy at 1 %."""

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
from rich.live import Live
from rich.table import Table

from canaryproxy import log
from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import runner
from canaryproxy.cli import output
from canaryproxy.cli.demo.shop import STABLE, ShopVersion, start_shop
from canaryproxy.cli.demo.traffic import Visit, arrivals, in_background, session, stop_event, ticks
from canaryproxy.config import parse
from canaryproxy.processes.listen import display

STABLE_REPLICAS = 9
WEIGHT = 1.0
CUSTOMERS = 300
TESTERS = 5
SECONDS = 30.0
SEED = 91
# A canary with a bug: 30 % of its responses are errors.
FAILING = ShopVersion("canary", "Welcome to the new shop!", 0.009, 0.3)

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: {{listen: "127.0.0.1:0"}}, state: memory, workers: 1}}
stable: {{endpoints: [{stable}]}}
canary: {canary}
weight: {weight:g}
affinity: {{header: x-customer}}
rules: [{{name: testers, headers: {{x-internal-tester: "true"}}, to: canary}}]
"""

# Label and format of the table's rows, filled from `CustomerResults.facts`.
ROWS = (
    ("customer requests", "{requests:,}"),
    ("share of the canary", "{canary_percent:.2f} %"),
    ("failed requests", "{failed:,}"),
    ("customers with a failure", "{customers_hurt:,} of {customers:,}"),
    ("customers with both versions", "{customers_with_both_versions:,}"),
    ("tester requests to the canary", "{testers_on_canary_percent:.0f} %"),
)


@dataclass(slots=True)
class CustomerResults:
    """Results of one setup: `versions` by customer, `hurt` customers with a failure, `testers`' requests by version."""

    requests: int = 0
    canary: int = 0
    failed: int = 0
    versions: dict[int, set[str]] = field(default_factory=dict)
    hurt: set[int] = field(default_factory=set)
    testers: Counter[str] = field(default_factory=Counter)

    def count(self, customer: int, version: str, *, failed: bool, tester: bool) -> None:
        """Count a response."""
        if tester:
            self.testers[version] += 1
            return
        self.requests += 1
        self.canary += version == "canary"
        self.failed += failed
        self.versions.setdefault(customer, set()).add(version)
        if failed:
            self.hurt.add(customer)

    def facts(self) -> dict[str, float]:
        """The results as numbers."""
        return {
            "requests": self.requests,
            "canary_percent": round(100 * self.canary / max(self.requests, 1), 3),
            "failed": self.failed,
            "customers": len(self.versions),
            "customers_hurt": len(self.hurt),
            "customers_with_both_versions": sum(len(versions) > 1 for versions in self.versions.values()),
            "testers_on_canary_percent": round(100 * self.testers["canary"] / max(self.testers.total(), 1), 1),
        }


def run_compare(*, rate: float, seconds: float | None, as_json: bool) -> int:
    """Run both setups side by side. Returns the exit code."""
    with runner() as running:
        return running.run(_run(rate, SECONDS if seconds is None else seconds, as_json=as_json))


@contextlib.asynccontextmanager
async def _setups(rng: random.Random) -> AsyncIterator[tuple[list[str], Instance]]:
    """The URLs of the replicas, the canary last, and canaryproxy in front of the same replicas."""
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for version in (*[STABLE] * STABLE_REPLICAS, FAILING):
            _, port = await start_shop(stack, version, rng)
            urls.append(f"http://127.0.0.1:{port}")
        text = CONFIG.format(stable=", ".join(f'"{url}"' for url in urls[:-1]), canary=urls[-1], weight=WEIGHT)
        instance = Instance(parse(text, "compare", {}))
        await instance.start()
        stack.push_async_callback(instance.stop)
        yield urls, instance


async def _run(rate: float, seconds: float, *, as_json: bool) -> int:
    console, ended, rng = output.console(), stop_event(), random.Random(SEED)
    log.configure()
    replicas, ours = CustomerResults(), CustomerResults()
    async with _setups(rng) as (urls, instance):
        proxy = f"http://{display(instance.addresses[0])}"
        if not as_json:
            console.print(
                f"Nine stable replicas and a canary that fails 30 % of its requests, in two setups: connections spread "
                f"round-robin over the replicas, and canaryproxy at {WEIGHT:g} % ({proxy}). The same {CUSTOMERS} "
                f"customers and {TESTERS} testers visit both.\n",
                highlight=False,
            )
        turn = itertools.cycle(urls)
        async with in_background(_visits([(lambda: next(turn), replicas), (lambda: proxy, ours)], rate, rng)):
            deadline = asyncio.get_running_loop().time() + seconds
            if as_json or not sys.stdout.isatty():
                await ticks(ended, deadline, lambda: None)
            else:
                with Live(table(replicas, ours), console=console, auto_refresh=False) as live:
                    await ticks(ended, deadline, lambda: live.update(table(replicas, ours), refresh=True))
        rollback = await _rollback_seconds(instance)
    if as_json:
        data = {"round_robin": replicas.facts(), "canaryproxy": ours.facts(), "way_back_seconds": round(rollback, 6)}
        print(json.dumps(data, indent=2))
        return 0
    if not sys.stdout.isatty():
        console.print(table(replicas, ours))
    console.print(conclusion(replicas, ours, rollback), highlight=False, soft_wrap=True)
    return 0


async def _visits(setups: list[tuple[Callable[[], str], CustomerResults]], rate: float, rng: random.Random) -> None:
    """Send the same customers and testers to both setups; each request has a connection of its own."""

    async def visit(base: str, customer: int, results: CustomerResults) -> None:
        tester = customer >= CUSTOMERS
        headers = {"X-Customer": f"customer-{customer}"} | ({"X-Internal-Tester": "true"} if tester else {})
        try:
            async with client.get(f"{base}/products", headers=headers) as response:
                version = (await response.json())["version"]
                results.count(customer, version, failed=response.status >= 500, tester=tester)
        except (aiohttp.ClientError, TimeoutError):
            results.count(customer, "none", failed=True, tester=tester)

    def both() -> list[Visit]:
        customer = rng.randrange(CUSTOMERS + TESTERS)
        return [visit(base(), customer, results) for base, results in setups]

    async with session(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as client:
        await arrivals(rate, rng, both)


def table(replicas: CustomerResults, ours: CustomerResults) -> Table:
    """Both setups side by side."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("")
    for column in ("9 + 1 replicas, round-robin", f"canaryproxy, {WEIGHT:g} %"):
        shown.add_column(column, justify="right")
    for label, form in ROWS:
        shown.add_row(label, form.format(**replicas.facts()), form.format(**ours.facts()))
    return shown


def conclusion(replicas: CustomerResults, ours: CustomerResults, rollback: float) -> str:
    """The differences, with measured numbers; `rollback` is the duration of the weight change in seconds."""
    there, here = replicas.facts(), ours.facts()
    return f"""
Limits of replica counts, as measured:
- Small weights: ten replicas allow no less than 10 % ({there["canary_percent"]:.2f} % measured); 1 % would take 100
  replicas. Here the weight is exact, by customer ({here["canary_percent"]:.2f} % measured).
- Testers first: a header sent {here["testers_on_canary_percent"]:.0f} % of the testers' requests to the canary here; \
{there["testers_on_canary_percent"]:.0f} % reached it by chance there.
- One version per customer: {there["customers_with_both_versions"]:,} of {there["customers"]:,} customers got both \
versions there, {here["customers_with_both_versions"]:,} here.
- Blast radius: the canary's failures hit {there["customers_hurt"]:,} customers there, {here["customers_hurt"]:,} here.
- Rollback: PUT weight 0 was applied by every worker after {1000 * rollback:.1f} ms. There a replica has to be scaled \
down, and open connections stay with it.
- Attribution: there, errors are not counted by version; here, /stats and /metrics show both versions."""


async def _rollback_seconds(instance: Instance) -> float:
    """Duration of `PUT weight 0` until every worker uses it."""
    if instance.admin_address is None:
        raise RuntimeError("the demo's proxy has no admin API")
    url = f"http://{display(instance.admin_address)}/api/v1/routes/default/weight"
    async with aiohttp.ClientSession() as client:
        began = time.perf_counter()
        async with client.put(url, json={"canary": 0}) as response:
            response.raise_for_status()
        return time.perf_counter() - began
