"""Scrapes and external checks, fed to the judges periodically while a canary has a share.

A source that fails makes its check inconclusive, is logged, and has no other effect.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from canaryproxy.analysis.check_set import CheckSet
from canaryproxy.analysis.checks.resources import ResourceCheck
from canaryproxy.analysis.usage import CounterReading, ReadingProblem, Usage
from canaryproxy.config import Config
from canaryproxy.config.schema.sources import CheckConfig, ResourceConfig
from canaryproxy.control.judges import Judges
from canaryproxy.model.report import Delta
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.external_checks import Ask
from canaryproxy.probes.failing_dependencies import FailingDependencies, What, keys_of
from canaryproxy.probes.scrape import Scrape, ScrapeError

log = logging.getLogger("canaryproxy")

Endpoints = Callable[[str], Mapping[str, Sequence[tuple[Endpoint, str]]]]

Source = ResourceConfig | CheckConfig

# Readings of a block.
READINGS = 10

# Bounds of the seconds between two readings.
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 15.0

# Endpoints that are scraped at the same time.
MAX_CONCURRENT = 16


@dataclass(slots=True)
class MeasurementBlock:
    """A block of readings in progress, for a check."""

    usage: Usage
    check: ResourceCheck
    begin: float
    copies: int


@dataclass(eq=False)
class Measurements:
    """The sources of an instance. `weight_of` as for `Judges`; `endpoints` gives a route's endpoints by version."""

    _judges: Judges
    _weight_of: Callable[[str], int | None]
    _endpoints: Endpoints
    _scrape: Scrape
    _ask: Ask
    _clock: Callable[[], float]
    _failures: FailingDependencies
    _sent: Counter[str] = field(default_factory=Counter, init=False)
    _copied: Counter[str] = field(default_factory=Counter, init=False)
    _measured: set[str] = field(default_factory=set, init=False)
    _tasks: dict[tuple[str, Source], asyncio.Task[None]] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        return f"<Measurements: {len(self._tasks)}, {self._failures}>"

    def configure(self, config: Config) -> None:
        """Query exactly the sources of this config from now on."""
        wanted: set[tuple[str, Source]] = {
            (name, source)
            for name, route in config.routes.items()
            if route.analysis is not None and route.canary is not None
            for source in route.analysis.sources
        }
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
        self._measured = {name for name, source in wanted if isinstance(source, ResourceConfig)}
        self._failures.retain(keys_of(config))
        for name, source in wanted - self._tasks.keys():
            self._tasks[name, source] = asyncio.get_running_loop().create_task(self._again(name, source))

    def stop(self) -> None:
        """Cancel all queries."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def add(self, delta: Delta) -> None:
        """Count the requests sent to each endpoint, whatever decided them: all of them use its resources."""
        if not self._measured:
            return
        for cell in delta.cells:
            if cell.starts:
                self._sent[cell.key.endpoint] += cell.starts
        for mirror in delta.mirrors:
            self._copied[mirror.route] += mirror.sent

    async def _again(self, route: str, source: Source) -> None:
        pause = source.interval if isinstance(source, CheckConfig) else pause_of(source)
        block: MeasurementBlock | None = None
        # Spread the queries of many routes over the interval.
        await asyncio.sleep(pause * random.random())
        while True:
            checks = self._judges.check_set(route) if self._weight_of(route) else None
            try:
                if isinstance(source, CheckConfig):
                    await self._read(route, source, checks)
                else:
                    block = await self._measure(route, source, checks, block)
            except Exception:
                log.exception("%s: internal error while reading %s", route, source.name)
            await asyncio.sleep(pause)

    async def _read(self, route: str, source: CheckConfig, checks: CheckSet | None) -> None:
        """Query an external check, for both versions where it has values by version."""
        check = None if checks is None else checks.externals.get(source.name)
        if check is None:
            return
        try:
            canary = await self._ask(source, route, "canary")
            stable = await self._ask(source, route, "stable") if source.by_version else None
        except ScrapeError as error:
            self._note(route, source, str(error))
            check.unread(str(error))
        else:
            self._note(route, source, "")
            check.read(canary, stable)

    async def _measure(
        self, route: str, source: ResourceConfig, checks: CheckSet | None, block: MeasurementBlock | None
    ) -> MeasurementBlock | None:
        """Read all endpoints once; returns the block that continues."""
        check = None if checks is None else checks.resources.get(source.name)
        if check is None:
            return None
        now = self._clock()
        if block is None or block.check is not check:
            usage = Usage(counter=source.counter is not None, per=source.per)
            block = MeasurementBlock(usage, check, now, self._copied[route])
        await self._scrape_all(route, source, block.usage)
        if now - block.begin < source.block:
            return block
        block.usage.copied(self._copied[route] - block.copies)
        found = block.usage.close()
        self._note(route, source, found.text if isinstance(found, ReadingProblem) and found.unknown else "")
        check.block(found)
        sides = (side for route in self._measured for side in self._endpoints(route).values())
        for gone in self._sent.keys() - {endpoint.authority for side in sides for endpoint, _ in side}:
            del self._sent[gone]
        return MeasurementBlock(block.usage.next(), check, now, self._copied[route])

    async def _scrape_all(self, route: str, resource: ResourceConfig, usage: Usage) -> None:
        limit = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(version: str, endpoint: Endpoint) -> None:
            async with limit:
                try:
                    value, began = await self._scrape(endpoint, resource)
                except ScrapeError as error:
                    usage.unread(endpoint.authority, str(error))
                else:
                    reading = CounterReading(self._clock(), value, self._sent[endpoint.authority], began)
                    usage.read(version, endpoint.authority, reading)

        sides = self._endpoints(route).items()
        await asyncio.gather(*(one(version, endpoint) for version, side in sides for endpoint, _ in side))

    def _note(self, route: str, source: Source, problem: str) -> None:
        """Keep and log whether the source answers."""
        what: What = "check" if isinstance(source, CheckConfig) else "resource"
        key = (route, what, source.name)
        if not problem and self._failures.good(key):
            log.info("%s: %s is available again", route, source.name)
        elif problem and self._failures.bad(key, problem):
            log.warning("%s: %s is not available; the rollout waits for it: %s", route, source.name, problem)


def pause_of(resource: ResourceConfig) -> float:
    """Seconds between two readings."""
    return min(max(resource.block / READINGS, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)
