"""Rollouts without processes: a second passes when a test says so."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from canaryproxy.config import parse
from canaryproxy.config.schema.hooks import OutboundCallConfig
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.ports import Store, UnwritableStateError
from canaryproxy.control.route_states import Actor
from canaryproxy.control.state import Audit, RouteState, State
from canaryproxy.model.report import CounterDelta, CounterKey, Delta
from canaryproxy.model.table import VersionName
from canaryproxy.processes.subscriptions import Deltas, Subscription, WorkerReport
from canaryproxy.storage.memory import MemoryStore
from tests.support.admin import FakeWorkers
from tests.support.plane import outside

JO = Actor("jo", "write")


TEXT = """
routes:
  shop:
    hosts: [a.test]
    stable: http://127.0.0.1:1
    canary: {{url: 'http://127.0.0.1:{port}', connect_timeout: 1s{canary}}}
    rollout: {{every: 10s, bake: 20s, {rollout}}}
    {more}
  blog: {{hosts: [b.test], stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}}
"""


class Fragile(MemoryStore):
    """A store whose disk may be full."""

    full = False
    kept: State

    def save(self, state: State, audits: Sequence[Audit] = ()) -> None:
        if self.full:
            raise UnwritableStateError("the disk is full")
        self.kept = state
        super().save(state, audits)


class Bench(ControlPlane):
    """An instance without processes: a second passes when a test says so."""

    def __init__(self, rollout: str = "", more: str = "", canary: str = "", store: Store | None = None) -> None:
        self.now = 1000.0
        self.text: Callable[[int], str] = lambda port: TEXT.format(port=port, rollout=rollout, more=more, canary=canary)
        self.port = 2
        self.workers = FakeWorkers()
        self.store = Fragile()
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, str] = {}
        self.reports: Deltas = Subscription()
        world = outside(lambda: self.now, lambda: 1e9 + self.now, post=self.post, rng=random.Random(3).random)
        super().__init__(
            parse(self.text(2), "f", {}),
            lambda: parse(self.text(self.port), "f", {}),
            store or self.store,
            self.workers,
            self.reports,
            world,
        )
        self.rng = random.Random(7)
        self.errors = {"stable": 0.0, "canary": 0.0}

    async def post(self, whom: OutboundCallConfig, what: Mapping[str, Any]) -> str:
        self.posted.append((whom.url, dict(what)))
        return self.refusals.get(whom.url, "")

    def weight(self, route: str) -> int | None:
        return self.ledger.weight_of(route)

    async def reload(self) -> None:
        """Until nothing that began with it is under way."""
        await self.reconfiguration.reload()
        await self.settled()

    async def settled(self) -> None:
        """Once everything that began by itself is over."""
        await asyncio.gather(*self.rollouts._urgent)

    @property
    def shop(self) -> RouteState:
        return self.ledger.state["shop"]

    async def second(self, rate: int = 400) -> None:
        """Traffic, a look of the judges, a look of the rollouts."""
        self.now += 1
        share = (self.weight("shop") or 0) / 10_000
        canary = round(rate * share)
        sides: tuple[tuple[VersionName, int], ...] = (("stable", rate - canary), ("canary", canary))
        cells = tuple(self._cell(version, count) for version, count in sides if count)
        self.reports.publish(WorkerReport(0, Delta(self.tables.generation, self.now, cells)))
        await self.judges.tick(self.now)
        await self.rollouts.tick()
        await self.settled()
        for _ in range(3):
            await asyncio.sleep(0)

    def _cell(self, version: VersionName, count: int) -> CounterDelta:
        failed = sum(self.rng.random() < self.errors[version] for _ in range(count))
        outcomes = {"success": count - failed, "error_5xx": failed}
        latency: dict[int, int] = {}
        for _ in range(count):
            bucket = -190 + self.rng.randrange(20)
            latency[bucket] = latency.get(bucket, 0) + 1
        return CounterDelta(
            CounterKey("shop", version, "e", "weight", True),
            int(self.now),
            count,
            outcomes,
            latency=latency,
            replies={500: failed},
        )

    async def until(self, phase: str, seconds: int = 400) -> int:
        for second in range(seconds):
            if self.shop.rollout.phase == phase:
                return second
            await self.second()
        raise AssertionError(f"{self.shop.rollout} never is {phase}")


async def started(rollout: str = "", more: str = "") -> Bench:
    bench = Bench(rollout, more)
    await bench.reconfiguration.start()
    for _ in range(5):
        await bench.second()
    await bench.rollouts.do("shop", "start", JO)
    return bench
