"""One judge per canary: fed with the reports of workers, read by the API and the rollout engine.

Judging is pure (`canaryproxy.analysis`). Failures are tested with every report, so that a canary that fails everything
is detected within a report or two. The rest is computed once a second, a few routes at a time: a rollback may be
waiting for the event loop.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field, replace
from typing import Protocol

from canaryproxy.analysis.check_set import CheckSet
from canaryproxy.analysis.finding import JudgeReport, Verdict
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import AnalysisSpec
from canaryproxy.config import Config
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.control.events import EventBus
from canaryproxy.model.document import Document, TooNewError
from canaryproxy.model.report import CounterDelta, Delta, GoalDelta, OpenRequests
from canaryproxy.processes.machine import yield_cpu
from canaryproxy.processes.subscriptions import FailingVerdict, Verdicts
from canaryproxy.telemetry.read.users import UserDelta

log = logging.getLogger("canaryproxy")

# For a route without `analysis`: only its share is checked.
NO_ANALYSIS = AnalysisSpec(errors=None, latency=None, client_errors=None, limits=None)

# Stands in for the judge of a new route.
NO_ROUTES = Judge(NO_ANALYSIS, affinity=False, rng=lambda: 0.0)

# The reason of an inconclusive verdict.
NO_CANARY = "the route has no canary"

# Ticks between two looks for a change of verdict other than a failure.
PATIENCE_SECONDS = 5

# Routes that are analysed before yielding to the event loop.
ROUTES_PER_TURN = 10


@dataclass(slots=True)
class RouteReport:
    """A worker's report on one route."""

    cells: list[CounterDelta] = field(default_factory=list)
    goals: list[GoalDelta] = field(default_factory=list)
    waiting: list[OpenRequests] = field(default_factory=list)
    new_users: list[UserDelta] = field(default_factory=list)


class Weights(Protocol):
    """The weights of routes, as judges need them."""

    def weight_of(self, route: str, /) -> int | None:
        """A route's weight in basis points; None for an unknown route."""

    def next_weight_of(self, route: str, /) -> int | None:
        """The weight that its rollout aims at; None without a rollout in progress."""


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Prepared judges: `fresh` ones have no evidence, those of `other` canaries keep what they know of stable."""

    config: Config
    fresh: Mapping[str, Judge]
    other: frozenset[str]


@dataclass(eq=False)
class Judges:
    """The judges of an instance. `generation` gives the current table's. Failures are published to `verdicts`."""

    config: InitVar[Config]
    now: InitVar[float]
    _weights: Weights
    _generation: Callable[[], int]
    _rng: Callable[[], float]
    _events: EventBus
    _verdicts: Verdicts
    _routes: dict[str, RouteConfig] = field(default_factory=dict, init=False)
    _judges: dict[str, Judge] = field(default_factory=dict, init=False)
    _plain: Set[str] = field(default=frozenset(), init=False)
    _last_verdict: dict[str, str] = field(default_factory=dict, init=False)
    _reported_until: dict[int, float] = field(default_factory=dict, init=False)
    _waited: dict[int, frozenset[str]] = field(default_factory=dict, init=False)
    _ticks: int = field(default=0, init=False)

    def __post_init__(self, config: Config, now: float) -> None:
        self.configure(config, now)

    def __repr__(self) -> str:
        return f"<Judges of {len(self._judges)} routes>"

    def prepared(self, config: Config) -> ConfigChange:
        """Make the judges for a config without using them yet: anything that can fail does so here."""
        routes = {name: route for name, route in config.routes.items() if route.canary is not None}
        known = {name: self._routes.get(name) for name in routes}
        kept = {name: one for name, one in known.items() if one is not None and not analysis_changed(one, routes[name])}
        fresh = {name: self._judge(route) for name, route in routes.items() if name not in kept}
        other = frozenset(name for name, before in kept.items() if before.canary != routes[name].canary)
        return ConfigChange(config, fresh, other)

    def take(self, configured: ConfigChange, now: float) -> set[str]:
        """Use the prepared judges, the restarted ones from the next second on; returns the routes of those."""
        known = self._routes
        routes = {name: one for name, one in configured.config.routes.items() if one.canary is not None}
        for gone in self._judges.keys() - routes.keys():
            del self._judges[gone]
            self._last_verdict.pop(gone, None)
        self._judges |= configured.fresh
        begun = [name for name in routes if name in configured.fresh or name in configured.other]
        for name in begun:
            self._judges[name].restart(now, first=int(now) + 1 if name in known else 0)
        self._routes = routes
        self._plain = configured.config.routes.keys() - routes.keys()
        return set(begun)

    def configure(self, config: Config, now: float) -> set[str]:
        """Use a config from now on; returns the routes whose judge restarts."""
        return self.take(self.prepared(config), now)

    def _judge(self, route: RouteConfig) -> Judge:
        return Judge(route.spec or NO_ANALYSIS, affinity=route.affinity is not None, rng=self._rng)

    def add(self, slot: int, delta: Delta, new_users: list[UserDelta]) -> None:
        """Process a worker's report and the new users in it."""
        self._reported_until[slot] = delta.at
        reports = by_route(delta, new_users, self._judges.keys())
        waited = frozenset(name for name, report in reports.items() if report.waiting)
        before, self._waited[slot] = self._waited.get(slot, frozenset()), waited
        for name in (before & self._judges.keys()) - reports.keys():
            reports[name] = RouteReport()
        current = delta.generation == self._generation()
        for name in reports:
            with self._guarded(name) as judge:
                self._file(name, judge, slot, delta.at, reports[name], current=current)

    def _file(self, name: str, judge: Judge, slot: int, at: float, report: RouteReport, *, current: bool) -> None:
        judge.advance(at, self._weights.weight_of(name) or 0)
        for cell in report.cells:
            judge.count(cell, current=current)
        for goal in report.goals:
            judge.goal_reached(goal)
        for one in report.new_users:
            judge.users_seen(one)
        judge.reported(slot, at, report.waiting)
        failed = judge.failed(at)
        if failed is not None and self._last_verdict.get(name) != "fail":
            self._log_verdict(name, failed)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[Judge]:
        """The judge of a route. A judge that raises is replaced by one without evidence; nothing else is affected."""
        try:
            yield self._judges[name]
        except Exception:
            log.exception("%s: judge failed; restarted without evidence", name)
            self._judges[name] = self._judge(self._routes[name])

    def goal_reached(self, goal: GoalDelta) -> None:
        """Events of a goal, reported through the API."""
        if goal.route in self._judges:
            with self._guarded(goal.route) as judge:
                judge.goal_reached(goal)

    def users_seen(self, new_users: list[UserDelta]) -> None:
        """New users, reported through the API."""
        for one in (one for one in new_users if one.route in self._judges):
            with self._guarded(one.route) as judge:
                judge.users_seen(one)

    def renew(self, route: str, now: float) -> None:
        """Restart the judge of a route: its canary is another one, or its rollout starts over."""
        if route in self._judges and self._judges[route].started:
            self._judges[route].restart(now, first=int(now) + 1)

    def snapshot(self, route: str, now: float) -> Document:
        """A judge's evidence, as plain data."""
        return self._judges[route].snapshot(now)

    def restore(self, route: str, data: Document, now: float) -> bool:
        """Restore a judge's evidence; False where it does not match, and the judge starts without any."""
        try:
            self._judges[route].restore(data, now)
        except (TooNewError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            log.warning("%s: stored evidence is not usable; analysis restarted: %r", route, error)
            self._judges[route] = self._judge(self._routes[route])
            return False
        return True

    def check_set(self, route: str) -> CheckSet | None:
        """The checks of a route's canary; another object after every restart of the judge."""
        judge = self._judges.get(route)
        return None if judge is None else judge.check_set

    def worker_exited(self, slot: int) -> None:
        """A worker has ended."""
        self._reported_until.pop(slot, None)
        self._waited.pop(slot, None)
        for judge in self._judges.values():
            judge.worker_exited(slot)

    async def tick(self, now: float) -> None:
        """Analyse all canaries with traffic, once a second. Only failures are published at every tick."""
        reported_until = min(self._reported_until.values(), default=now)
        self._ticks += 1
        for number, name in enumerate(list(self._judges)):
            if number % ROUTES_PER_TURN == ROUTES_PER_TURN - 1:
                # A rollback may be waiting for the event loop.
                await asyncio.sleep(0)
            if name in self._judges:
                with self._guarded(name) as judge:
                    self._tick_one(name, judge, now, reported_until, say=(self._ticks + number) % PATIENCE_SECONDS == 0)
            yield_cpu()

    def _tick_one(self, name: str, judge: Judge, now: float, reported_until: float, *, say: bool) -> None:
        weight = self._weights.weight_of(name) or 0
        if weight or not judge.idle:
            judge.tick(now, weight, reported_until, self._weights.next_weight_of(name))
        if say or judge.failed(now):
            self._log_verdict(name, judge.analysis(now))

    def analysis(self, route: str, now: float) -> JudgeReport:
        """The current analysis of a route's canary; inconclusive for a new route."""
        if route in self._plain:
            return replace(NO_ROUTES.analysis(now), reason=NO_CANARY)
        return self._judges.get(route, NO_ROUTES).analysis(now)

    def verdict(self, route: str, now: float) -> Verdict:
        """The verdict of the analysis; does not compute it for a canary without a share."""
        judge = self._judges.get(route, NO_ROUTES)
        if judge.failed(now) is None and not self._weights.weight_of(route):
            return "inconclusive"
        return judge.analysis(now).verdict

    def _log_verdict(self, name: str, analysis: JudgeReport) -> None:
        """Publish a changed verdict; log only failures."""
        before = self._last_verdict.get(name)
        if before == analysis.verdict:
            return
        self._last_verdict[name] = analysis.verdict
        if analysis.verdict == "fail":
            log.warning("%s: the canary fails: %s", name, analysis.reason)
            self._verdicts.publish(FailingVerdict(name, analysis))
        if before is not None or analysis.verdict == "fail":
            self._events.publish("verdict", name, verdict=analysis.verdict, reason=analysis.reason)


def by_route(delta: Delta, new_users: Sequence[UserDelta], judged: Set[str]) -> dict[str, RouteReport]:
    """The parts of a report that are analysed, by route with a judge."""
    found: defaultdict[str, RouteReport] = defaultdict(RouteReport)
    for cell in delta.cells:
        if cell.key.analysed and cell.key.route in judged:
            found[cell.key.route].cells.append(cell)
    for goal in delta.goals:
        if goal.analysed and goal.route in judged:
            found[goal.route].goals.append(goal)
    for open_one in delta.overdue:
        if open_one.key.analysed and open_one.key.route in judged:
            found[open_one.key.route].waiting.append(open_one)
    for one in (one for one in new_users if one.route in judged):
        found[one.route].new_users.append(one)
    return found


def analysis_changed(before: RouteConfig, after: RouteConfig) -> bool:
    """Whether evidence under one config is invalid under the other."""
    return before.affinity != after.affinity or before.spec != after.spec
