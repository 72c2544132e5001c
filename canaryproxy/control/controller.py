"""The single writer: what the config says now, what its names mean, who is healthy, and which generation serves.

A reload loads and validates the file away from the event loop, compiles a table and publishes it. A file
that does not hold up changes nothing: the old config goes on serving and the reload says what is wrong.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from canaryproxy.config import Config, ConfigError
from canaryproxy.config.route import VersionConfig
from canaryproxy.control.compile import certificates, compile_table
from canaryproxy.control.endpoints import endpoints_of, names
from canaryproxy.control.health import Ask, Check, Health
from canaryproxy.control.resolve import Lookup, Resolver, system_lookup
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.table import Endpoint, Route, RoutingTable


class Traffic(Protocol):
    """What the controller needs of the data plane."""

    def publish(self, table: RoutingTable) -> None:
        """Make `table` the one that the next request head is decided by."""

    def certify(self, certificates: list[ListenerTls | None]) -> None:
        """New certificates for the listeners, in their order."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did.

    `generation` is the one serving now. `problem` is the full text of what is wrong with the file, empty
    if it holds up. `changed` says that something else is served now, a table or certificates; `restart` that
    `server:` differs from what this process was started with, so part of the file waits for a restart.
    """

    generation: int
    changed: bool = False
    restart: bool = False
    problem: str = ""


class Controller:
    """Owns the config and the generation. `load` reads the config anew; it may raise `ConfigError`."""

    def __init__(
        self,
        config: Config,
        traffic: Traffic,
        load: Callable[[], Config] | None = None,
        *,
        ask: Ask,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._started_with = config.server.lasting
        self._traffic = traffic
        self._load = load
        self._reloading = asyncio.Lock()
        self._resolver = Resolver(lookup, lambda: names(self.config.routes), self._refresh)
        self._health = Health(self._refresh, ask)
        self._resolving: asyncio.Task[None] | None = None
        self._published: tuple[Route, ...] | None = None
        self.config = config
        self.generation = 0

    def __repr__(self) -> str:
        return f"<Controller generation {self.generation}, {len(self.config.routes)} routes>"

    async def start(self) -> None:
        """Resolve names once, publish the first table, and keep looking."""
        await self._resolver.look(names(self.config.routes))
        self._refresh()
        self._resolving = asyncio.get_running_loop().create_task(self._resolver.run())

    def stop(self) -> None:
        """Look no more; what was published last goes on."""
        self._health.stop()
        if self._resolving is not None:
            self._resolving.cancel()

    async def reload(self) -> Reload:
        """Read the config again and publish what it says. Calls are served one after another.

        Each call reads after it was made, so no change is lost. Without a file there is nothing to read.
        """
        async with self._reloading:
            if self._load is None:
                return Reload(self.generation)
            try:
                config = await asyncio.to_thread(self._load)
            except ConfigError as error:
                return Reload(self.generation, problem=str(error))
            restart = config.server.lasting != self._started_with
            certified = certificates(config) != certificates(self.config) and not restart
            new_names = names(config.routes) - self._resolver.answers.keys()
            if new_names:
                await self._resolver.look(new_names)
            before, self.config = self.generation, config
            if certified:
                self._traffic.certify(certificates(config))
            self._refresh()
            return Reload(self.generation, changed=certified or self.generation != before, restart=restart)

    def _refresh(self) -> None:
        """Publish the table of this moment, unless it is the one that serves already."""
        answers = self._resolver.answers
        self._health.watch(checks(self.config, answers))
        table = compile_table(self.config, self.generation + 1, answers, self._health.unhealthy)
        if table.routes != self._published:
            self.generation = table.generation
            self._published = table.routes
            self._traffic.publish(table)


def checks(config: Config, answers: dict[str, tuple[str, ...]]) -> dict[Endpoint, Check]:
    """How every endpoint with a health check is asked; one that two versions share, as the first one says."""
    sides: list[VersionConfig] = [side for route in config.routes.values() for side in (route.stable, route.canary)]
    found: dict[Endpoint, Check] = {}
    for side in sides:
        health = side.health
        for endpoint in endpoints_of(side, answers) if health is not None else ():
            if health is not None:
                check = Check(health.path, health.interval, health.timeout, health.unhealthy, health.healthy)
                found.setdefault(endpoint, check)
    return found
