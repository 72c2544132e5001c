"""Load and lifecycle of a demo: random visitors, background tasks, the end by signal or time."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp

Visit = Coroutine[Any, Any, None]

# Concurrent visits; while the services are slower than the rate, further visitors stay away.
MAX_CONCURRENT = 50

JOURNEY = (("GET", "/"), ("GET", "/products"), ("GET", "/products"), ("POST", "/cart"))

# Mean number of requests of a visitor.
VISIT_REQUESTS = 2.5


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


async def ticks(ended: asyncio.Event, deadline: float | None, show: Callable[[], None]) -> None:
    """Call `show` once per second until `ended` or `deadline` (time of the event loop)."""
    clock = asyncio.get_running_loop().time
    while not ended.is_set() and (deadline is None or clock() < deadline):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1.0 if deadline is None else min(1.0, deadline - clock()))
        show()


@contextlib.asynccontextmanager
async def in_background(work: Visit) -> AsyncIterator[None]:
    """Run `work` until the end of the block, then cancel it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def arrivals(rate: float, rng: random.Random, visits: Callable[[], list[Visit]]) -> None:
    """Start the visits that `visits` returns at random moments, `rate` times per second, until cancelled."""
    under_way: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(rng.expovariate(rate))
            if len(under_way) < MAX_CONCURRENT:
                for visit in visits():
                    task = group.create_task(visit)
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)


def session(**options: Any) -> aiohttp.ClientSession:
    """A client session that gives up after 10 s and keeps no cookies."""
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), cookie_jar=jar, **options)


async def customers(base: str, rate: float, rng: random.Random) -> None:
    """Send about `rate` single requests per second to `base` until cancelled. The proxy counts results and failures."""

    async def visit(method: str, path: str) -> None:
        body = {"product": 1} if method == "POST" else None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.request(method, base + path, json=body) as response:
                await response.read()

    async with session() as client:
        await arrivals(rate, rng, lambda: [visit(*rng.choice(JOURNEY))])


async def visitors(base: str, rate: float, rng: random.Random) -> None:
    """Send visitors who keep their cookie and may buy, about `rate` requests per second, until cancelled."""

    async def visit() -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.get(f"{base}/") as home:
                await home.read()
                cookie = {"Cookie": "; ".join(f"{name}={one.value}" for name, one in home.cookies.items())}
            async with client.get(f"{base}/products", headers=cookie) as page:
                tempting = page.status == 200 and (await page.json())["tempting"]
            if tempting and rng.random() < 0.5:
                async with client.post(f"{base}/cart", headers=cookie, json={"product": 1}) as done:
                    await done.read()

    async with session() as client:
        await arrivals(rate / VISIT_REQUESTS, rng, lambda: [visit()])
