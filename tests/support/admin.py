"""The admin API over a real controller, with a data plane that only remembers."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from canaryproxy.admin.auth import Authenticator
from canaryproxy.admin.views import Views
from canaryproxy.config import parse
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.events import MAX_SUBSCRIBERS
from canaryproxy.control.ports import Store
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.model.table import RoutingTable
from canaryproxy.processes.subscriptions import Subscription
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.storage.memory import MemoryStore
from tests.support.plane import outside

TOKENS = "tokens: [{name: ci, role: write, token: write-me}, {name: eyes, role: read, token: read-me}]"
WRITE = {"Authorization": "Bearer write-me"}
READ = {"Authorization": "Bearer read-me"}


class FakeWorkers:
    """Workers that acknowledge at once by default."""

    def __init__(self) -> None:
        self.tables: list[RoutingTable] = []
        self.ready = self.count = 2
        self.restarts = 1
        self.refused = {"garbled": 0, "bounds": 2, "failed": 0}
        self.draining = False
        self.slow = False
        self.pids = [1, 2]

    def publish(self, table: RoutingTable) -> None:
        """Remember."""
        self.tables.append(table)

    def update_certificates(self, certificates: list[ListenerTls | None]) -> None:
        """Nothing to do."""

    async def acknowledged(self, generation: int) -> None:
        """At once, or never."""
        if self.slow:
            raise NotAcknowledgedError(f"not every worker has acknowledged generation {generation}")


class Api(ControlPlane):
    """Everything behind the API. `clock` is the time of the deltas and of the gate."""

    def __init__(
        self, server: str = "", store: Store | None = None, route: str = "", listeners: int = MAX_SUBSCRIBERS
    ) -> None:
        self.clock = 1000.0
        self.workers = FakeWorkers()
        text = f"server: {{state: memory, admin: {{{server}}}}}\nroutes:\n  shop:\n    hosts: [a.test]\n    stable: http://127.0.0.1:1\n    canary: http://127.0.0.1:2\n    weight: 5\n{route}  blog: {{hosts: [b.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}}\n"
        self.store = store or MemoryStore()
        world = outside(lambda: self.clock, lambda: 1_800_000_000.5, rng=random.Random(1).random)
        super().__init__(
            parse(text, "f", {}), None, self.store, self.workers, Subscription(), world, listeners=listeners
        )
        self.knowledge = Views(self, self.workers, lambda: self.clock)  # type: ignore[arg-type]
        self.gate = Authenticator(lambda: self.topology.config.server.admin)

    async def start(self) -> "Api":
        """Publish the first table."""
        await self.reconfiguration.start()
        return self

    def served(self, version: str, count: int, errors: int = 0, **cell: Any) -> None:
        """Count requests."""
        key = CounterKey("shop", version, "e", "weight", True)
        outcomes = {"success": count - errors, "error_5xx": errors}
        codes = {200: count - errors, 500: errors}
        data = CounterDelta(key, int(self.clock), count, outcomes, codes=codes, **{"latency": {-192: count}, **cell})
        delta = Delta(1, self.clock, (data,), in_flight={("shop", version): 1})
        self.counters.add(int(version == "canary"), delta)
        self.window.add(delta)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)
