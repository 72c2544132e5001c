"""Rollouts without processes: a second passes when a test says so."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from canaryproxy.config import parse
from canaryproxy.config.hook import Called
from canaryproxy.control.controller import Controller
from canaryproxy.control.events import Events
from canaryproxy.control.hooks import Hooks
from canaryproxy.control.judges import Judges
from canaryproxy.control.ledger import Actor
from canaryproxy.control.rollouts import Rollouts
from canaryproxy.control.state import Audit, RouteState, State
from canaryproxy.control.store import UnwritableState
from canaryproxy.model.delta import CellDelta, CellKey, Delta
from canaryproxy.model.table import VersionName
from canaryproxy.store.memory import MemoryStore
from canaryproxy.telemetry.window import Window
from tests.support.admin import FakeWorkers, healthy

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
            raise UnwritableState("the disk is full")
        self.kept = state
        super().save(state, audits)


class Bench:
    """An instance without processes: a second passes when a test says so."""

    def __init__(self, rollout: str = "", more: str = "", canary: str = "") -> None:
        self.now = 1000.0
        self.text: Callable[[int], str] = lambda port: TEXT.format(port=port, rollout=rollout, more=more, canary=canary)
        self.port = 2
        self.workers = FakeWorkers()
        self.store = Fragile()
        self.events, self.window = Events(), Window()
        self.controller = Controller(
            parse(self.text(2), "f", {}), self.workers, self.store, lambda: parse(self.text(self.port), "f", {}),
            ask=healthy, wall=lambda: 1e9 + self.now, events=self.events,
        )  # fmt: skip
        self.judges = Judges(
            self.controller.config, self.now, self.weight, lambda: self.controller.generation, random.Random(3).random,
            self.events, lambda: 1e9 + self.now,
        )  # fmt: skip
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, str] = {}
        self.rollouts = Rollouts(
            self.controller, self.judges, self.window, Hooks(self.post, lambda: self.now, self.controller.failures),
            lambda: self.now, lambda: 1e9 + self.now,
        )  # fmt: skip
        self.controller.configured = self._configured
        self.rng = random.Random(7)
        self.errors = {"stable": 0.0, "canary": 0.0}

    async def post(self, whom: Called, what: Mapping[str, Any]) -> str:
        self.posted.append((whom.url, dict(what)))
        return self.refusals.get(whom.url, "")

    def _configured(self) -> None:
        self.judges.configure(self.controller.config, self.now)

    def weight(self, route: str) -> int | None:
        state = self.controller.state.get(route)
        return None if state is None else state.weight

    async def reload(self) -> None:
        """As the instance does it."""
        reload = await self.controller.reload()
        await self.rollouts.reloaded(reload)
        await asyncio.gather(*self.rollouts._urgent)

    @property
    def shop(self) -> RouteState:
        return self.controller.state["shop"]

    async def second(self, rate: int = 400) -> None:
        """Traffic, a look of the judges, a look of the rollouts."""
        self.now += 1
        share = (self.weight("shop") or 0) / 10_000
        canary = round(rate * share)
        sides: tuple[tuple[VersionName, int], ...] = (("stable", rate - canary), ("canary", canary))
        cells = tuple(self._cell(version, count) for version, count in sides if count)
        delta = Delta(self.controller.generation, self.now, cells)
        self.window.add(delta)
        self.judges.add(0, delta, [])
        await self.judges.look(self.now)
        await self.rollouts.look()
        await asyncio.gather(*self.rollouts._urgent)
        for _ in range(3):
            await asyncio.sleep(0)

    def _cell(self, version: VersionName, count: int) -> CellDelta:
        failed = sum(self.rng.random() < self.errors[version] for _ in range(count))
        outcomes = {"success": count - failed, "error_5xx": failed}
        latency: dict[int, int] = {}
        for _ in range(count):
            bucket = -190 + self.rng.randrange(20)
            latency[bucket] = latency.get(bucket, 0) + 1
        return CellDelta(CellKey("shop", version, "e", "weight", True), int(self.now), count, outcomes, latency=latency, replies={500: failed})  # fmt: skip

    async def until(self, phase: str, seconds: int = 400) -> int:
        for second in range(seconds):
            if self.shop.rollout.phase == phase:
                return second
            await self.second()
        raise AssertionError(f"{self.shop.rollout} never is {phase}")


async def started(rollout: str = "", more: str = "") -> Bench:
    bench = Bench(rollout, more)
    await bench.controller.start()
    for _ in range(5):
        await bench.second()
    await bench.rollouts.do("shop", "start", JO)
    return bench
