"""A thousand routes: the cost of a change of one weight, and the lag of the supervisor's event loop.

    python -m bench.micro.tables

Times are in milliseconds. The lag is the delay of a short sleep during scrapes, reads of every route, or changes of
weights.
"""

import asyncio
import gc
import json
import time
import urllib.request
from collections.abc import Callable
from typing import TypeVar

from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import runner
from canaryproxy.config import parse
from canaryproxy.control.compile import KnownRoutes, compile_table
from canaryproxy.control.fingerprint import Fingerprint
from canaryproxy.control.state import reconcile, with_weight
from canaryproxy.ipc.codec import Decoder, encode
from canaryproxy.ipc.messages import Publication
from canaryproxy.ipc.table_diff import EMPTY, apply, diff
from canaryproxy.routing.route_index import RouteIndex

ROUTES = 1000
NAP = 0.0005
CHANGES = 50
ROUTE = "  r{0}: {{hosts: [h{0}.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2', weight: 5}}\n"
SERVER = "server: {listen: '127.0.0.1:0', admin: {listen: '127.0.0.1:0'}, state: memory, workers: 1}\nroutes:\n"
TEXT = SERVER + "".join(map(ROUTE.format, range(ROUTES)))

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    """Time a call and print it."""
    began = time.perf_counter()
    result = work()
    print(f"{what:44} {1000 * (time.perf_counter() - began):7.2f} ms")
    return result


def one_change() -> None:
    """Step by step, from the state to the worker's index."""
    config = parse(TEXT, "bench", {})
    known: KnownRoutes = {}
    state = reconcile({}, config, dict.fromkeys(config.routes, Fingerprint("", "")))
    first = timed("compile all", lambda: compile_table(config, 1, state=state, known=known))
    state["r5"] = with_weight(state["r5"], 700, 500)
    second = timed("compile after one weight", lambda: compile_table(config, 2, state=state, known=known))
    document = timed("difference", lambda: diff(first, second))
    data = timed("encode", lambda: encode(document))
    print(f"{'  bytes':44} {len(data):7}      (all routes: {len(encode(diff(EMPTY, first))):,})")
    (heard,) = timed("decode", lambda: list(Decoder().feed(data)))
    assert isinstance(heard, Publication)
    table = timed("apply in the worker", lambda: apply(first, heard))
    before = RouteIndex(first)
    timed("index in the worker", lambda: RouteIndex(table, before))


async def lag() -> None:
    """The lag while the API is used."""
    instance = Instance(parse(TEXT, "bench", {}))
    await instance.start()
    gc.collect()
    gc.freeze()  # as the supervisor does once it serves
    assert instance.admin_address is not None
    base = f"http://127.0.0.1:{instance.admin_address[1]}"
    lags: list[float] = []

    async def probe() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(NAP)
            lags.append(time.perf_counter() - began - NAP)

    def get(path: str) -> int:
        return len(urllib.request.urlopen(base + path, timeout=60).read())

    def change() -> int:
        for number in range(CHANGES):
            body = json.dumps({"canary": number}).encode()
            asked = urllib.request.Request(f"{base}/api/v1/routes/r7/weight", body, method="PUT")
            asked.add_header("Content-Type", "application/json")
            urllib.request.urlopen(asked, timeout=60).read()
        return CHANGES

    probing = asyncio.get_running_loop().create_task(probe())
    for what, work in (
        ("scrape /metrics", lambda: get("/metrics")),
        ("GET /api/v1/routes", lambda: get("/api/v1/routes")),
        (f"{CHANGES} x PUT weight", change),
    ):
        lags.clear()
        began = time.perf_counter()
        await asyncio.to_thread(work)
        spent = time.perf_counter() - began
        ordered = sorted(lags)
        print(
            f"{what:20} {1000 * spent:6.0f} ms, lag: 99 % below {1000 * ordered[int(len(ordered) * 0.99)]:.1f} ms, "
            f"{1000 * ordered[-1]:.1f} ms at most"
        )
    probing.cancel()
    await instance.stop()


if __name__ == "__main__":
    one_change()
    with runner() as running:
        running.run(lag())
