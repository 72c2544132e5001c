"""Distributes the reports of workers: to counters and windows for display, to judges and sources for analysis."""

from collections.abc import Iterable
from dataclasses import InitVar, dataclass

from canaryproxy.config import Config
from canaryproxy.control.events import EventBus
from canaryproxy.control.judges import Judges
from canaryproxy.control.measurements import Measurements
from canaryproxy.control.route_states import RouteStates
from canaryproxy.model.report import Delta
from canaryproxy.processes.machine import yield_cpu
from canaryproxy.processes.subscriptions import Deltas, WorkerGone, WorkerReport, WorkersChanged
from canaryproxy.telemetry.read.counters import Counters
from canaryproxy.telemetry.read.users import UserRegistry
from canaryproxy.telemetry.read.window import Window


@dataclass(eq=False)
class Intake:
    """Processes every report, start and end of a worker."""

    deltas: InitVar[Deltas]
    _states: RouteStates
    _counters: Counters
    _window: Window
    _users: UserRegistry
    _judges: Judges
    _sources: Measurements
    _events: EventBus

    def __post_init__(self, deltas: Deltas) -> None:
        deltas.subscribe(self._take)

    def __repr__(self) -> str:
        return f"<Intake into {self._counters}>"

    def follow(self, config: Config, begun: Iterable[str]) -> None:
        """Forget routes that are not in `config`. Routes in `begun` have another canary: count their users again."""
        self._counters.retain(config.routes.keys())
        self._window.retain(config.routes.keys())
        self._users.retain(config.routes.keys())
        for route in begun:
            self._users.begin(route)
        self._sources.configure(config)

    def _take(self, news: WorkerReport | WorkerGone | WorkersChanged) -> None:
        if isinstance(news, WorkerReport):
            self._file(news.slot, news.delta)
        elif isinstance(news, WorkerGone):
            self._counters.worker_exited(news.slot)
            self._judges.worker_exited(news.slot)
        else:
            self._events.publish("worker", detail=news.words)

    def _file(self, slot: int, delta: Delta) -> None:
        """Yields the CPU to workers between the steps."""
        yield_cpu()
        self._counters.add(slot, delta)
        yield_cpu()
        self._window.add(delta)
        yield_cpu()
        fresh = self._users.add(delta, self._states.weight_of)
        yield_cpu()
        self._judges.add(slot, delta, fresh)
        yield_cpu()
        self._sources.add(delta)
