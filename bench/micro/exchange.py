"""CPU time of one exchange without sockets: a request in and out, a response in and out, in one process.

`python -m bench.micro.exchange [--bare | --alone]`; `--alone` is a route without a canary. Suitable for profiles, which
show only our code and the interpreter.
"""

import asyncio
import sys
import time
from typing import Any, cast

import uvloop

import canaryproxy
from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.plane import DataPlane
from canaryproxy.dataplane.pool import Pool
from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.settings import PlaneSettings
from canaryproxy.model.table import Affinity, Endpoint, Route, RoutingTable, Version

EXCHANGES = 60_000
ROUNDS = 5
REQUESTS = 1_000

REQUEST = (
    b"GET /products/%d?page=1 HTTP/1.1\r\nHost: shop.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nCache-Control: no-cache\r\nReferer: http://shop.example.com/products\r\n"
    b"Cookie: session=0123456789abcdef%d; canaryproxy=0123456789abcdef0001\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Wed, 25 Nov 2026 14:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 100\r\nConnection: keep-alive\r\n\r\n" + b"x" * 100
)
EVERYTHING: dict[str, Any] = {
    "affinity": Affinity("cookie", "canaryproxy"),
    "rules": (Rule("testers", (Condition("header", "exact", ("true",), "x-internal-tester"),), "canary"),),
    "goals": (
        Goal("cart_seen", (Condition("path", "prefix", ("/cart",)),)),
        Goal("add_to_cart", (Condition("method", "exact", ("POST",)), Condition("path", "exact", ("/cart",)))),
        Goal("revenue", header="x-order-value"),
    ),
}


class Wire:
    """A transport that discards all data."""

    def write(self, _: bytes) -> None:
        """Discard."""

    def set_write_buffer_limits(self, _: int) -> None:
        """There are none."""

    def get_extra_info(self, _: str) -> tuple[str, int]:
        """The address of the peer."""
        return "127.0.0.1", 1

    def get_write_buffer_size(self) -> int:
        """Nothing is queued."""
        return 0

    def abort(self) -> None:
        """Nothing to end."""


def opened(plane: DataPlane, endpoint: Endpoint) -> UpstreamConnection:
    """An idle connection to an endpoint."""
    pool = plane.pools.by_endpoint[endpoint] = Pool(endpoint, plane.pools.sockets)
    upstream = UpstreamConnection()
    upstream.connection_made(cast("asyncio.Transport", Wire()))
    pool.release(upstream, float("inf"))
    return upstream


async def measure(route: dict[str, Any], *, alone: bool = False) -> float:
    """Microseconds of CPU an exchange: the best of some rounds. `alone`: the route has no canary."""
    stable, canary = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)
    shop = Route("shop", Version("stable", (stable,)), Version("canary", (canary,)), 1_000, **route)
    table = RoutingTable(1, (Route("shop", shop.stable) if alone else shop,))
    plane = DataPlane(PlaneSettings(), loop=asyncio.get_running_loop(), identity="bench")
    plane.publish(table)
    down = ClientConnection(plane, "127.0.0.1")
    down.connection_made(cast("asyncio.Transport", Wire()))
    first, second = opened(plane, stable), opened(plane, canary)
    requests = [REQUEST % (number, number) for number in range(REQUESTS)]
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(EXCHANGES):
            down.data_received(requests[number % REQUESTS])
            (first if first.exchange is not None else second).data_received(RESPONSE)
        best = min(best, time.process_time() - began)
        plane.deltas()
    plane.abort()
    return best / EXCHANGES * 1e6


if __name__ == "__main__":
    bare, alone = "--bare" in sys.argv, "--alone" in sys.argv
    cost = uvloop.run(measure({} if bare or alone else EVERYTHING, alone=alone))
    print(f"{cost:.2f} µs an exchange, {canaryproxy.MODE}")
