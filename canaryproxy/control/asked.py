"""What the controller is asked: rules, endpoints and their health, history, and what judges had learnt."""

import asyncio
from collections.abc import Mapping, Set

from canaryproxy.config import Config
from canaryproxy.config.route import VersionConfig
from canaryproxy.config.rules import RuleConfig
from canaryproxy.control.endpoints import endpoints_of
from canaryproxy.control.health import Health
from canaryproxy.control.ledger import Ledger
from canaryproxy.control.resolve import Resolver
from canaryproxy.control.state import Audit, State
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.routing.reach import reached_by


class Asked:
    """The half of the controller that changes nothing."""

    config: Config
    health: Health
    resolver: Resolver
    table: RoutingTable
    _ledger: Ledger
    _writing: asyncio.Lock

    def revision(self, route: str) -> int:
        """Another one after every change of a route that a caller may build upon."""
        return self._ledger.revision(route)

    def rules(self, route: str) -> tuple[RuleConfig, ...]:
        """The rules that hold, in order."""
        rules = self.state[route].rules
        return self.config.routes[route].rules if rules is None else rules.rules

    def endpoints(self, route: str) -> dict[str, list[tuple[Endpoint, str]]]:
        """Every endpoint of each version with its health: `healthy`, `unhealthy`, or `unknown` without checks."""
        return {
            name: [(one, self._state_of(side, one)) for one in endpoints_of(side, self.resolver.answers)]
            for name, side in zip(("stable", "canary"), self.config.routes[route].sides, strict=False)
        }

    def _state_of(self, side: VersionConfig, endpoint: Endpoint) -> str:
        if side.health is None:
            return "unknown"
        return "unhealthy" if endpoint in self.health.unhealthy else "healthy"

    async def history(self, route: str, limit: int) -> list[Audit]:
        """Who did what, the newest first. Raises `UnwritableState` where it cannot be read."""
        async with self._writing:
            return await self._ledger.history(route, limit)

    async def remember(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Keep what judges have learnt. Raises `UnwritableState`."""
        async with self._writing:
            await self._ledger.remember(learnt, keep)

    async def learnt(self) -> dict[str, str]:
        """What judges had learnt when the process ended."""
        async with self._writing:
            return await self._ledger.learnt()

    @property
    def generation(self) -> int:
        """Of the table published last."""
        return self.table.generation

    @property
    def state(self) -> State:
        """What holds for each route beside the config."""
        return self._ledger.state

    @property
    def durable(self) -> bool:
        """Whether all that holds is on the disk."""
        return self._ledger.durable

    def reached_by(self, route: str) -> tuple[str, ...]:
        """The paths that lead to the canary, as if it were not off."""
        compiled = next((one for one in self.table.routes if one.name == route), None)
        return () if compiled is None else reached_by(compiled)
