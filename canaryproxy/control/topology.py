"""The effective config with its current DNS answers, endpoints and their health."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from typing import Literal

from canaryproxy.config import Config
from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.endpoints import endpoints_of, names
from canaryproxy.probes.failing_dependencies import FailingDependencies
from canaryproxy.probes.health import Ask, Health, HealthCheckSpec, checks
from canaryproxy.probes.resolve import Lookup, Resolver
from canaryproxy.processes.subscriptions import Subscription

log = logging.getLogger("canaryproxy")

EndpointChange = Literal["health", "names"]


class Topology:
    """`config` is the effective one: the `file`'s, with the canaries set over the API. `changes` is published when a
    DNS answer or the health of an endpoint changes. `wall_clock` gives seconds since the epoch.
    """

    def __init__(self, config: Config, lookup: Lookup, ask: Ask, wall_clock: Callable[[], float]) -> None:
        self.file = self.config = config
        self.coming: frozenset[str] = frozenset()
        self.changes: Subscription[EndpointChange] = Subscription()
        self.resolver = Resolver(lookup, self.names, lambda: self._changed("names"), FailingDependencies(wall_clock))
        self.health = Health(lambda: self._changed("health"), ask, wall_clock)
        self._resolving: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Topology of {len(self.config.routes)} routes>"

    def _changed(self, what: EndpointChange) -> None:
        """An error of a subscriber must not end the lookup or health check that called it."""
        try:
            self.changes.publish(what)
        except Exception:
            log.exception("internal error while endpoints changed; the last table stays in use")

    def names(self) -> frozenset[str]:
        """The names to resolve, those of a config that is `coming` included."""
        return names(self.config.routes) | self.coming

    async def expect(self, asked: frozenset[str]) -> None:
        """Resolve names that are unknown so far, and keep resolving them until they are part of the config."""
        self.coming = asked - self.resolver.answers.keys()
        if self.coming:
            await self.resolver.resolve(self.coming)

    async def start(self) -> None:
        """Resolve every name once."""
        await self.resolver.resolve(self.names())

    def run(self) -> None:
        """Resolve names periodically from now on."""
        self._resolving = asyncio.get_running_loop().create_task(self.resolver.run())

    def stop(self) -> None:
        """Stop lookups and health checks; the latest results stay."""
        self.health.stop()
        if self._resolving is not None:
            self._resolving.cancel()

    def checks(self, config: Config) -> dict[Endpoint, HealthCheckSpec]:
        """The health check of every endpoint of a config that has one."""
        return checks(config, self.resolver.answers)

    def unhealthy(self, asked: Mapping[Endpoint, HealthCheckSpec]) -> Set[Endpoint]:
        """The unhealthy ones of these endpoints; the health of any other is not known any more."""
        return self.health.unhealthy & asked.keys()

    def endpoints(self, route: str) -> dict[str, list[tuple[Endpoint, str]]]:
        """Every endpoint by version, with `healthy`, `unhealthy`, or `unknown` without checks; empty for no route."""
        config = self.config.routes.get(route)
        sides = () if config is None else config.sides
        return {
            name: [(one, self._state_of(side, one)) for one in endpoints_of(side, self.resolver.answers)]
            for name, side in zip(("stable", "canary"), sides, strict=False)
        }

    def _state_of(self, side: VersionConfig, endpoint: Endpoint) -> str:
        if side.health is None:
            return "unknown"
        return "unhealthy" if endpoint in self.health.unhealthy else "healthy"
