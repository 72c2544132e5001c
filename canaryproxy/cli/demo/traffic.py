"""A gentle, bounded stream of customers."""

import asyncio
import random

import aiohttp

MAX_CONCURRENT = 50
"""Requests under way at the most; when the services are slower than that, customers stay away."""

JOURNEY = (("GET", "/"), ("GET", "/products"), ("GET", "/products"), ("POST", "/cart"))


async def customers(base: str, rate: float, rng: random.Random) -> None:
    """Send about `rate` requests per second to `base` until cancelled. Answers and failures are the
    proxy's to count, so none is looked at here.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session, asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(rng.expovariate(rate))
            if len(under_way) < MAX_CONCURRENT:
                method, path = rng.choice(JOURNEY)
                task = group.create_task(_visit(session, method, base + path))
                under_way.add(task)
                task.add_done_callback(under_way.discard)


async def _visit(session: aiohttp.ClientSession, method: str, url: str) -> None:
    body = {"product": 1} if method == "POST" else None
    try:
        async with session.request(method, url, json=body) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError):
        return


VISIT = 2.5
"""Requests of a visitor, about."""


async def visitors(base: str, rate: float, rng: random.Random) -> None:
    """Send people to the shop, about `rate` requests per second, until cancelled. Each keeps the cookie of their first
    page, looks at the products, and may put one into the cart.
    """
    jar = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), cookie_jar=jar) as session,
        asyncio.TaskGroup() as group,
    ):
        under_way: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(rng.expovariate(rate / VISIT))
            if len(under_way) < MAX_CONCURRENT:
                task = group.create_task(_look_around(session, base, rng))
                under_way.add(task)
                task.add_done_callback(under_way.discard)


async def _look_around(session: aiohttp.ClientSession, base: str, rng: random.Random) -> None:
    try:
        async with session.get(f"{base}/") as home:
            await home.read()
            cookie = {"Cookie": "; ".join(f"{name}={one.value}" for name, one in home.cookies.items())}
        async with session.get(f"{base}/products", headers=cookie) as page:
            tempting = page.status == 200 and (await page.json())["tempting"]
        if tempting and rng.random() < 0.5:
            async with session.post(f"{base}/cart", headers=cookie, json={"product": 1}) as done:
                await done.read()
    except (aiohttp.ClientError, TimeoutError):
        return
