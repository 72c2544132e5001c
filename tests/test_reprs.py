"""What a log line or a debugger shows of an object: no repr raises, and each begins with the name of its class.

Objects are found, not made one by one: a few whole systems are set up, and whatever they refer to is shown. What none
of them refers to is made in `single`.
"""

import asyncio
import dataclasses
import functools
import gc
import importlib.util
import inspect
import mmap
import os
import pkgutil
import re
import socket
import types
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import canaryproxy
from canaryproxy.admin.accept_loop import ConnectionQuota
from canaryproxy.admin.app import admin_application
from canaryproxy.admin.connection_slots import Turnover
from canaryproxy.admin.control_connection import ControlConnection
from canaryproxy.admin.fair_queue import FairQueue
from canaryproxy.admin.listeners import ControlListeners
from canaryproxy.admin.receive_window import ReceiveWindow
from canaryproxy.analysis.checks.hard_limit import HardLimitCheck
from canaryproxy.analysis.spec import ErrorSpec, HardLimitSpec
from canaryproxy.analysis.stats.eprocess import EProcess
from canaryproxy.analysis.stats.rate_tests import LowerRate, NotHigherRate
from canaryproxy.analysis.stats.value_tests import LowerValues
from canaryproxy.analysis.uncontrolled import StableBaseline, Uncontrolled
from canaryproxy.analysis.usage import Usage
from canaryproxy.app.forkserver import ForkServer
from canaryproxy.app.instance import Instance
from canaryproxy.app.worker import Worker
from canaryproxy.cli.output import Sheet
from canaryproxy.config import parse
from canaryproxy.control.controller import ChangePriority
from canaryproxy.control.measurements import Measurements
from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.connection_count import memory_size
from canaryproxy.dataplane.failover import FailoverPlan
from canaryproxy.dataplane.replay_buffer import ReplayBuffer
from canaryproxy.dataplane.slow_clients import SlowClients
from canaryproxy.http.h1.body import BodyEnd
from canaryproxy.ipc.channel import TimeShare
from canaryproxy.ipc.messages import WorkerConfig
from canaryproxy.log import BackgroundHandler, JsonFormatter
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.head import ResponseHead
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Mirror, RoutingTable, Shield
from canaryproxy.probes.failing_dependencies import Reminder
from canaryproxy.probes.health import Health, HealthCheckSpec, Streak
from canaryproxy.probes.resolve import Resolver
from canaryproxy.probes.scrape import SampleFilter
from canaryproxy.processes import message_validation
from canaryproxy.processes.known_names import KnownNames
from canaryproxy.processes.listen import listen_on
from canaryproxy.processes.spawn import Processes
from canaryproxy.processes.subscriptions import Subscription
from canaryproxy.processes.worker_link import WorkerLink
from canaryproxy.processes.workers import Workers
from canaryproxy.routing.affinity import ClientKey
from canaryproxy.routing.cache_control import CacheAdvisor
from canaryproxy.routing.compiled_route import CompileCache, build_choices
from canaryproxy.routing.patterns import Pattern, PatternSet, Prefix
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.storage.sqlite import SqliteStore
from canaryproxy.telemetry.read.users import SlidingCount
from canaryproxy.telemetry.record.distinct_users import DistinctUsers, UserNumbers
from tests.dataplane.test_tls import SHOP, connect, listen
from tests.routing.test_affinity import ROUTE
from tests.routing.test_goal_matcher import PAID
from tests.routing.test_rule_index import facts, header
from tests.support.admin import Api
from tests.support.cluster import STAY, read_response, run, running_cluster
from tests.support.judged import seen
from tests.support.stand import CANARY, STABLE, stand

GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
UPGRADE = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
PLAIN = "server: {state: memory}\nstable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\n"


# Which classes, and what of them is shown.


def written_by_hand(function: Any) -> bool:
    """Whether a `__repr__` is in our source: none that a dataclass or a named tuple was given."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    generated = hasattr(function, "__wrapped__") or (code is not None and "canaryproxy" not in code.co_filename)
    return not generated


@functools.cache
def classes() -> list[type]:
    """All that have a `__repr__` of their own."""
    found = []
    for info in pkgutil.walk_packages(canaryproxy.__path__, "canaryproxy."):
        if info.name.endswith("__main__") or importlib.util.find_spec(info.name) is None:
            continue  # compiled only, and this run is plain
        for one in vars(importlib.import_module(info.name)).values():
            if isinstance(one, type) and one.__module__ == info.name and "__repr__" in vars(one):
                found += [one] if written_by_hand(vars(one)["__repr__"]) else []
    return sorted(set(found), key=lambda one: (one.__module__, one.__qualname__))


CONTAINERS = (dict, list, tuple, set, frozenset, deque, types.MethodType, types.CellType, functools.partial)


def referred(one: Any) -> list[Any]:
    """What an object leads to: what it refers to, if it is a container, ours or a test's; of a function its closure."""
    if isinstance(one, types.FunctionType):
        return [*(one.__closure__ or ()), *(one.__defaults__ or ())]
    ours = type(one).__module__.partition(".")[0] in ("canaryproxy", "tests")
    return gc.get_referents(one) if isinstance(one, CONTAINERS) or ours else []


Shown = dict[type, str]
"""Class that has the `__repr__` to what it answered."""


def show(found: Shown, *roots: object) -> None:
    """Call the repr of one object of each class among all that can be reached."""
    wanted, waiting = set(classes()) - found.keys(), list(roots)
    known: dict[int, object] = {}  # kept alive, so that no id is used again
    while waiting and wanted:
        one = waiting.pop()
        if id(one) in known or isinstance(one, type | types.ModuleType):
            continue
        known[id(one)] = one
        owner = next((base for base in type(one).__mro__ if "__repr__" in vars(base)), object)
        if owner in wanted:
            found[owner] = repr(one)
            wanted.discard(owner)
        waiting += referred(one)


# Systems.


def planes() -> Iterator[object]:
    """Data planes in the middle of an exchange, a copy and a tunnel."""
    with stand(shield=Shield(2.0, 5_000)) as one:
        one.say(GET)
        yield one
        one.hear(one.open(CANARY), HALF)
        yield one
    with stand(mirror=Mirror(10_000), weight=0) as one:
        one.say(GET)
        yield one
        one.hear(one.open(STABLE), HALF + b" body")
        yield one
    with stand(weight=0) as one:
        one.say(GET[:-2] + UPGRADE)
        one.hear(one.open(STABLE), b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE)
        yield one


def tables() -> Iterator[object]:
    """What a routing table is compiled to."""
    rules = tuple(Rule(f"r{number}", (header("x-user", str(number)),), "canary") for number in range(20))
    route = dataclasses.replace(ROUTE, rules=rules, goals=(PAID,), weight=500)
    yield RouteIndex(RoutingTable(1, (route,)))
    yield build_choices(route, "weight")[0].decisions()
    yield PatternSet("cookie", b"x", [Pattern("a.*"), Pattern("b"), Prefix(b"c")])
    yield facts()


def judges() -> Iterator[object]:
    """Judges with evidence of every kind."""
    for name in ("everything", "users", "alone"):
        yield seen(name)


def unready(_: int) -> WorkerConfig:
    """Of workers that are not launched."""
    raise AssertionError


def single(folder: Path) -> Iterator[object]:
    """What no system above refers to at the time."""
    yield [
        Uncontrolled(ErrorSpec(), None, StableBaseline()),
        HardLimitCheck(HardLimitSpec()),
        EProcess([1.0]),
        LowerValues(),
        LowerRate(),
        NotHigherRate(1.5, 0.01),
        Usage(counter=True),
        BodyEnd((b"X: y",)),
        ResponseHead(200),
        ClientKey(b"k"),
        UserNumbers(b"secret"),
        SlowClients(),
        Reminder(),
        SlidingCount(),
        DistinctUsers(),
        CompileCache(),
        Streak(HealthCheckSpec("/")),
        SampleFilter("x"),
        Turnover(5),
        ReceiveWindow(),
        Sheet(),
        SqliteStore(folder / "a.db"),
        message_validation.DeltaValidator(KnownNames(), 0, 1),
        TimeShare(0.0),
        CacheAdvisor((b"Cookie",), ROUTE.caching),
        Instance(parse(PLAIN, "f", {})),
        FairQueue("read", ChangePriority(), {}),
        ReplayBuffer(Buffers()),
        FailoverPlan(build_choices(ROUTE, "weight")[0].decisions()[0]),
        WorkerLink(
            1,
            1,
            message_validation.WorkerMessageValidator(KnownNames(), 1, 0.0),
            received=lambda *_: None,
            lost=lambda _: None,
            refuse=lambda *_: None,
        ),
    ]


async def connected(found: Shown) -> None:
    """What has sockets."""
    api = await Api().start()
    app = admin_application(api.knowledge, api.gate)
    show(found, api, *app.values(), *(route.handler for route in app.router.routes()), *app.middlewares)
    show(found, Measurements(api.judges, lambda _: 500, None, None, None, lambda: 1.0, api.failures))  # type: ignore[arg-type]
    show(found, Health(lambda: None, None, lambda: 1.0), Resolver(None, frozenset, lambda: None, lambda: 1.0))  # type: ignore[arg-type]
    show(found, Workers(1, Processes([], 1), unready, Subscription()))
    api.stop()
    async with running_cluster() as w:
        port = await listen(w, ListenerTls((SHOP,)))
        for reader, writer in (await w.connect(), await connect(w, port, "shop.test")):
            writer.write(STAY)
            await read_response(reader)
        w.clients.append((await asyncio.open_connection("127.0.0.1", port))[1])
        while not w.listeners[1].pending_count:
            await asyncio.sleep(0.005)
        show(found, w)
    doors = ControlListeners()
    door = await doors.serve("admin", app, listen_on("127.0.0.1", 0), ConnectionQuota(4, 3, 2, 2))
    show(found, doors, door)
    await doors.cleanup()
    with socket.socket() as one, mmap.mmap(-1, memory_size(1)) as memory:
        show(found, ControlConnection(None, one), ForkServer(one, memory, []))  # type: ignore[arg-type]
        show(found, Worker(asyncio.get_running_loop(), [], memory))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """One repr of each class."""
    found: Shown = {}
    for scene in (planes(), tables(), judges(), single(tmp_path_factory.mktemp("state"))):
        for root in scene:
            show(found, root)
    run(connected(found))
    reading, writing = os.pipe()
    background = BackgroundHandler(writing, JsonFormatter())
    show(found, background)
    background.stop()
    os.close(reading)
    os.close(writing)
    return found


@pytest.mark.xdist_group("reprs")
@pytest.mark.parametrize(
    "one", classes(), ids=lambda one: f"{one.__module__.removeprefix('canaryproxy.')}.{one.__name__}"
)
def test_every_repr_begins_with_the_name_of_its_class(one: type, shown: Shown) -> None:
    assert one in shown, "no object of it was found: let a system above refer to one, or add it to `single`"
    names = "|".join(kind.__name__ for kind in (one, *one.__subclasses__()))
    assert re.match(rf"<({names})\b", shown[one]), shown[one]


def test_there_are_many_of_them() -> None:
    assert len(classes()) > 100
