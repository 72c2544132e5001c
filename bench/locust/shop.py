"""The shop behind the proxy: `python -m bench.locust.shop PORT ERRORS`, with the share of carts that fail."""

import random
import sys

from aiohttp import web


async def page(_: web.Request) -> web.Response:
    """Anything to look at."""
    return web.json_response({"products": [{"id": 1, "name": "bird cage"}, {"id": 2, "name": "lamp"}]})


def shop(errors: float) -> web.Application:
    """The application; dice decide which carts and orders fail."""
    rng = random.Random(5)

    async def cart(_: web.Request) -> web.Response:
        if rng.random() < errors:
            return web.json_response({"error": "no cart"}, status=500)
        return web.json_response({"added": True}, status=201)

    async def checkout(_: web.Request) -> web.Response:
        if rng.random() < errors:
            return web.json_response({"error": "no till"}, status=503)
        value = f"{rng.randrange(500, 20_000) / 100:.2f}"
        return web.json_response({"paid": value}, status=201, headers={"X-Order-Value": value})

    app = web.Application()
    app.add_routes([web.post("/cart", cart), web.post("/checkout", checkout), web.get("/{any:.*}", page)])
    return app


if __name__ == "__main__":
    web.run_app(
        shop(float(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        keepalive_timeout=60,
        handle_signals=True,
    )
