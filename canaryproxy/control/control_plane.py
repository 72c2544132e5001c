"""The control plane as a graph of objects, each made of those before it; cycles go through `Subscription`s."""

from collections.abc import Callable
from dataclasses import dataclass

from canaryproxy.config import Config
from canaryproxy.control import hooks as webhooks
from canaryproxy.control.controller import Controller
from canaryproxy.control.events import MAX_SUBSCRIBERS, EventBus
from canaryproxy.control.evidence_keeper import EvidenceKeeper
from canaryproxy.control.hooks import Hooks
from canaryproxy.control.judges import Judges
from canaryproxy.control.measurements import Measurements
from canaryproxy.control.ports import Store
from canaryproxy.control.reconfiguration import Reconfiguration
from canaryproxy.control.report_intake import Intake
from canaryproxy.control.rollout_engine import Notifier, RolloutEngine
from canaryproxy.control.rollout_observer import RolloutObserver
from canaryproxy.control.route_states import RouteStates
from canaryproxy.control.table_publisher import TablePublisher
from canaryproxy.control.topology import Topology
from canaryproxy.control.version_tracker import VersionTracker
from canaryproxy.probes import external_checks, scrape
from canaryproxy.probes.failing_dependencies import FailingDependencies
from canaryproxy.probes.health import Ask
from canaryproxy.probes.resolve import Lookup
from canaryproxy.processes.subscriptions import Deltas, Subscription, Verdicts
from canaryproxy.processes.workers import TrafficControl
from canaryproxy.telemetry.read.counters import Counters
from canaryproxy.telemetry.read.users import UserRegistry
from canaryproxy.telemetry.read.window import Window


@dataclass(frozen=True, slots=True)
class Environment:
    """The control plane's interfaces to the outside: DNS, health checks, webhooks, scrapes, external checks. `clock` is
    the clock of the deltas, `wall_clock` gives seconds since the epoch, `rng` numbers in [0, 1).
    """

    lookup: Lookup
    ask: Ask
    post: webhooks.Post
    scrape: scrape.Scrape
    number: external_checks.Ask
    rng: Callable[[], float]
    clock: Callable[[], float]
    wall_clock: Callable[[], float]


class ControlPlane:
    """All components, connected. `load` reads the config file again, None without a file; `traffic` is the data plane
    of so many `workers`, whose reports come from `deltas`. `listeners` is the maximum of event subscribers.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config] | None,
        store: Store,
        traffic: TrafficControl,
        deltas: Deltas,
        outside: Environment,
        *,
        workers: int = 1,
        listeners: int = MAX_SUBSCRIBERS,
    ) -> None:
        clock, wall_clock = clocks = outside.clock, outside.wall_clock
        counters, window, users = self.counters, self.window, self.users = Counters(), Window(), UserRegistry()
        failures = self.failures = FailingDependencies(wall_clock)
        topology = self.topology = Topology(config, outside.lookup, outside.ask, wall_clock)
        states = self.ledger = RouteStates(store, wall_clock)
        versions = self.versions = VersionTracker(topology, states, *clocks)
        events = self.events = EventBus(wall_clock, versions.about, listeners)
        tables = self.tables = TablePublisher(traffic, config, workers)
        controller = self.controller = Controller(topology, states, tables, events, wall_clock)
        verdicts: Verdicts = Subscription()
        judges = self.judges = Judges(config, clock(), states, lambda: tables.generation, outside.rng, events, verdicts)
        evidence = EvidenceKeeper(topology, states, judges, versions, *clocks)
        observer = self.observations = RolloutObserver(topology, states, judges, evidence, window, users, clock)
        hooks = self.hooks = Hooks(outside.post, clock, failures)
        notifier = self.notifier = Notifier(topology, states, observer, hooks, wall_clock)
        rollouts = self.rollouts = RolloutEngine(
            topology, states, controller, judges, versions, observer, evidence, hooks, notifier, verdicts, *clocks
        )
        sources = self.sources = Measurements(
            judges, states.weight_of, topology.endpoints, outside.scrape, outside.number, clock, failures
        )
        intake = Intake(deltas, states, counters, window, users, judges, sources, events)
        self.reconfiguration = Reconfiguration(
            topology, states, tables, controller, judges, intake, rollouts, events, load, *clocks
        )

    def __repr__(self) -> str:
        return f"<ControlPlane, {self.controller!r}>"

    def stop(self) -> None:
        """Stop polling, calls and event streams; the last table stays in use."""
        self.topology.stop()
        self.sources.stop()
        self.hooks.stop()
        self.events.close()

    async def close(self) -> None:
        """Store what is not stored yet, and close the storage."""
        async with self.ledger.writing:
            await self.ledger.keep()
            await self.ledger.close()
