"""The control plane without processes: put together as the instance does it, over a world that a test makes up."""

from collections.abc import Callable
from typing import Any

from canaryproxy.config import Config, from_flags
from canaryproxy.control.control_plane import ControlPlane, Environment
from canaryproxy.control.hooks import Post
from canaryproxy.control.ports import Store
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.table import Endpoint, RoutingTable
from canaryproxy.probes.health import Ask, HealthAnswer, HealthCheckSpec
from canaryproxy.probes.resolve import Lookup, system_lookup
from canaryproxy.probes.scrape import ScrapeError
from canaryproxy.processes.subscriptions import Subscription
from canaryproxy.storage.memory import MemoryStore


async def healthy(_: Endpoint, __: HealthCheckSpec) -> HealthAnswer:
    """Every endpoint is."""
    return HealthAnswer(passed=True)


async def unreachable(*_: object) -> str:
    """A webhook that does not answer."""
    return "it does not answer"


async def unknown(*_: object) -> Any:
    """A source that does not answer."""
    raise ScrapeError("it does not answer")


def outside(
    now: Callable[[], float],
    wall_clock: Callable[[], float],
    *,
    lookup: Lookup = system_lookup,
    ask: Ask = healthy,
    post: Post = unreachable,
    rng: Callable[[], float] = lambda: 0.5,
) -> Environment:
    """A world in which all is well, but that no one answers."""
    return Environment(lookup, ask, post, unknown, unknown, rng, now, wall_clock)


class Traffic:
    """A data plane that remembers its tables."""

    def __init__(self) -> None:
        self.tables: list[RoutingTable] = []
        self.waited: list[int] = []
        self.certificates: list[ListenerTls | None] = []

    def publish(self, table: RoutingTable) -> None:
        """Remember."""
        self.tables.append(table)

    async def acknowledged(self, generation: int) -> None:
        """Remember what was waited for."""
        self.waited.append(generation)

    def update_certificates(self, certificates: list[ListenerTls | None]) -> None:
        """Remember."""
        self.certificates = certificates


async def lookup(_: str) -> tuple[str, ...]:
    """Every name means the same."""
    return ("10.0.0.1",)


def config(weight: str = "5", listen: str | None = None) -> Config:
    """One route."""
    return from_flags("http://a:1", "http://b:1", weight, listen)


def plane_of(
    config: Config,
    traffic: Traffic,
    store: Store | None = None,
    load: Callable[[], Config] | None = None,
    *,
    ask: Ask = healthy,
    lookup: Lookup = lookup,
    wall_clock: float = 5.0,
) -> ControlPlane:
    """A control plane over a world in which all is well."""
    world = outside(lambda: 1000.0, lambda: wall_clock, lookup=lookup, ask=ask)
    return ControlPlane(config, load, store or MemoryStore(), traffic, Subscription(), world)


async def controlled(*loads: Config | Exception) -> tuple[ControlPlane, Traffic]:
    """One that has started, and reads these, one after another; an error is raised."""
    queue = list(loads)

    def load() -> Config:
        loaded = queue.pop(0)
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    traffic = Traffic()
    plane = plane_of(config(), traffic, load=load)
    await plane.reconfiguration.start()
    return plane, traffic


class Weights(dict[str, int]):
    """Weights that a test sets, of routes without a rollout."""

    def weight_of(self, route: str) -> int | None:
        """In basis points."""
        return self.get(route)

    def next_weight_of(self, _: str) -> int | None:
        """None is under way."""
        return None
