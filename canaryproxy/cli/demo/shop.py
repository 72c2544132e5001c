"""The sample service: a small shop in versions that differ in text, speed and errors."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

PRODUCTS = [
    {"id": 1, "name": "bird cage", "price": 49.0},
    {"id": 2, "name": "lamp", "price": 25.5},
    {"id": 3, "name": "helmet", "price": 18.0},
]


@dataclass(frozen=True, slots=True)
class ShopVersion:
    """`delay`: median seconds of a response; `errors`: share of 500s; `tempting`: share of pages that may sell."""

    name: str
    greeting: str
    delay: float
    errors: float
    tempting: float = 0.9


@dataclass(slots=True)
class Stand:
    """Holder of the version that an application serves; it can be replaced."""

    version: ShopVersion


STABLE = ShopVersion("stable", "Welcome to the shop.", 0.012, 0.002)
CANARY = ShopVersion("canary", "Welcome to the new shop!", 0.009, 0.002)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STAND = web.AppKey("stand", Stand)
RNG_KEY = web.AppKey("rng", random.Random)


@web.middleware
async def _delayed(request: web.Request, handler: Handler) -> web.StreamResponse:
    version, rng = request.app[STAND].version, request.app[RNG_KEY]
    await asyncio.sleep(rng.lognormvariate(0, 0.4) * version.delay)
    if rng.random() < version.errors:
        return web.json_response({"version": version.name, "error": "simulated"}, status=500)
    return await handler(request)


async def _home(request: web.Request) -> web.Response:
    version = request.app[STAND].version
    return web.Response(text=f"{version.greeting} (version: {version.name})\n")


async def _account(request: web.Request) -> web.Response:
    return web.Response(text=f"Your account, as the {request.app[STAND].version.name} version shows it.\n")


async def _products(request: web.Request) -> web.Response:
    version = request.app[STAND].version
    tempting = request.app[RNG_KEY].random() < version.tempting
    return web.json_response({"version": version.name, "products": PRODUCTS, "tempting": tempting})


async def _cart(request: web.Request) -> web.Response:
    wanted = await request.json()
    return web.json_response({"version": request.app[STAND].version.name, "added": wanted}, status=201)


def shop(version: ShopVersion, rng: random.Random) -> web.Application:
    """The application of a version; `rng` determines delays and errors."""
    app = web.Application(middlewares=[_delayed])
    app[STAND] = Stand(version)
    app[RNG_KEY] = rng
    pages = {"/": _home, "/account": _account, "/products": _products}
    app.add_routes([*(web.get(path, page) for path, page in pages.items()), web.post("/cart", _cart)])
    return app


async def start_shop(
    stack: contextlib.AsyncExitStack, version: ShopVersion, rng: random.Random
) -> tuple[web.Application, int]:
    """Serve a version on a free loopback port until `stack` is closed. Returns the application and the port."""
    app = shop(version, rng)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return app, port
