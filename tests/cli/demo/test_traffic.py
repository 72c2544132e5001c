"""Customers."""

import asyncio
import contextlib
import random

from aiohttp import web
from aiohttp.test_utils import TestServer

from canaryproxy.cli.demo import traffic
from canaryproxy.cli.demo.traffic import MAX_CONCURRENT, customers


async def test_customers_come_and_no_more_than_allowed_wait_at_once() -> None:
    waiting = most = 0
    enough = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        if most == MAX_CONCURRENT:
            enough.set()
        await asyncio.sleep(0.2)
        waiting -= 1
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", slow)
    async with TestServer(app) as server:
        visiting = asyncio.get_running_loop().create_task(customers(str(server.make_url("")), 2000.0, random.Random(1)))
        await asyncio.wait_for(enough.wait(), 60)
        visiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await visiting
    assert most == MAX_CONCURRENT


async def test_a_service_that_is_away_does_not_end_the_stream() -> None:
    visiting = asyncio.get_running_loop().create_task(customers("http://127.0.0.1:1", 500.0, random.Random(1)))
    await asyncio.sleep(0.1)
    assert not visiting.done()
    visiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await visiting
    assert traffic.JOURNEY
