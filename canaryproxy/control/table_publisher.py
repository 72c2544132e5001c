"""Compiles routing tables and publishes them to the data plane."""

from collections.abc import Set

from canaryproxy.config import Config
from canaryproxy.control.compile import KnownRoutes, certificates, compile_table
from canaryproxy.control.state import State
from canaryproxy.control.topology import Topology
from canaryproxy.model.table import Endpoint, Route, RoutingTable
from canaryproxy.processes.workers import TrafficControl
from canaryproxy.routing.canary_paths import open_paths


class TablePublisher:
    """`table` is the one published last. The data plane has so many `workers` and began with `config`."""

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
        """The table of the current config and state, as the next generation. Not published yet."""
        config, answers, number = topology.config, topology.resolver.answers, self.generation + 1
        return compile_table(config, number, answers, unhealthy, state, self._known, self._workers)

    def publish(self, table: RoutingTable) -> None:
        """Publish a table, unless its routes are those of the last one."""
        if table.routes != self._published:
            self.table = table
            self._published = table.routes
            self._traffic.publish(table)

    def update_certificates(self, config: Config) -> bool:
        """Use the certificates of a config for handshakes; False where nothing changed."""
        found = certificates(config)
        if found == self._certificates:
            return False
        self._certificates = found
        self._traffic.update_certificates(found)
        return True

    async def acknowledged(self, generation: int) -> None:
        """Wait until every worker uses the table. Raises `NotAcknowledgedError`."""
        await self._traffic.acknowledged(generation)

    def route(self, name: str) -> Route | None:
        """A route as compiled last."""
        return next((one for one in self.table.routes if one.name == name), None)

    def open_canary_paths(self, route: str) -> tuple[str, ...]:
        """The paths that would lead to the canary if it were not off."""
        compiled = self.route(route)
        return () if compiled is None else open_paths(compiled)
