"""The routing tables: compiled from what holds at a moment, and published to the data plane."""

from collections.abc import Set

from canaryproxy.config import Config
from canaryproxy.control.compile import KnownRoutes, certificates, compile_table
from canaryproxy.control.state import State
from canaryproxy.control.topology import Topology
from canaryproxy.model.table import Endpoint, Route, RoutingTable
from canaryproxy.processes.workers import TrafficControl
from canaryproxy.routing.canary_paths import open_paths


class TablePublisher:
    """Keeps `table`, the one published last, for a data plane of so many `workers` that began with `config`."""

    def __init__(self, traffic: TrafficControl, config: Config, workers: int) -> None:
        self._traffic = traffic
        self._workers = workers
        self._known: KnownRoutes = {}
        self._published: tuple[Route, ...] | None = None
        self._certificates = certificates(config)
        self.table = RoutingTable(0, ())

    def __repr__(self) -> str:
        return f"<TablePublisher, generation {self.generation}>"

    @property
    def generation(self) -> int:
        """Of the table published last."""
        return self.table.generation

    def compiled(self, topology: Topology, state: State, unhealthy: Set[Endpoint]) -> RoutingTable:
        """The table of what holds, as the next generation. Nothing is published yet."""
        return compile_table(
            topology.config,
            self.generation + 1,
            topology.resolver.answers,
            unhealthy,
            state,
            self._known,
            self._workers,
        )

    def publish(self, table: RoutingTable) -> None:
        """Have requests decided by it, unless it says what the one before says."""
        if table.routes != self._published:
            self.table = table
            self._published = table.routes
            self._traffic.publish(table)

    def update_certificates(self, config: Config) -> bool:
        """Have handshakes answered with the certificates of a config; False where they are by now."""
        found = certificates(config)
        if found == self._certificates:
            return False
        self._certificates = found
        self._traffic.update_certificates(found)
        return True

    async def acknowledged(self, generation: int) -> None:
        """Wait until every worker follows. Raises `NotAcknowledgedError`."""
        await self._traffic.acknowledged(generation)

    def route(self, name: str) -> Route | None:
        """A route as it was compiled last."""
        return next((one for one in self.table.routes if one.name == name), None)

    def open_canary_paths(self, route: str) -> tuple[str, ...]:
        """The paths that lead to the canary, as if it were not off."""
        compiled = self.route(route)
        return () if compiled is None else open_paths(compiled)
