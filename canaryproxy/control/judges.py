"""A judge for every canary: given what workers report, asked by whoever shows or acts.

Judging is pure (`canaryproxy.analysis`); here it is only fed. Reports are bet on as they come, so that a canary that
fails everything is known within a report or two; the rest is looked at once a second, a few routes at a time, since a
rollback may be waiting for the loop.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from canaryproxy.analysis.finding import Analysis, Verdict
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.panel import Panel
from canaryproxy.analysis.spec import Spec
from canaryproxy.config import Config
from canaryproxy.config.route import RouteConfig
from canaryproxy.control.courtesy import give_way
from canaryproxy.control.events import Events
from canaryproxy.model.delta import CellDelta, Delta, GoalDelta, Open
from canaryproxy.model.document import Document, TooNewError
from canaryproxy.telemetry.users import News

log = logging.getLogger("canaryproxy")

UNJUDGED = Spec(errors=None, latency=None, refusals=None, limits=None)
"""Of a route whose canary nobody wants judged: its share is still watched."""

NOBODY = Judge(UNJUDGED, affinity=False, dice=lambda: 0.0)
"""Of a route that has only just come."""

WITHOUT = "the route has no canary"
"""Why nothing is known of it."""

PATIENT = 5
"""Looks between two times that it is asked whether something else than a failure is to be said."""

BREATH = 10
"""Routes that are looked at before others get their turn on the loop."""


@dataclass(slots=True)
class Report:
    """What a worker says of one route."""

    cells: list[CellDelta] = field(default_factory=list)
    goals: list[GoalDelta] = field(default_factory=list)
    waiting: list[Open] = field(default_factory=list)
    news: list[News] = field(default_factory=list)


class Judges:
    """The judges of an instance. `weight_of` tells a route's weight of now, in basis points, None if it is gone;
    `generation` that of the table which holds it; `wall` the time of day.
    """

    def __init__(
        self, config: Config, now: float, weight_of: Callable[[str], int | None], generation: Callable[[], int],
        dice: Callable[[], float], events: Events, wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self._weight_of = weight_of
        self._generation = generation
        self._dice = dice
        self._events = events
        self._wall = wall
        self._aim_of: Callable[[str], int | None] = lambda _: None
        self._failing: Callable[[str], None] = lambda _: None
        self._routes: dict[str, RouteConfig] = {}
        self._judges: dict[str, Judge] = {}
        self._plain: Set[str] = frozenset()
        self._said: dict[str, str] = {}
        self._told: dict[int, float] = {}
        self._waited: dict[int, frozenset[str]] = {}
        self._looks = 0
        self.configure(config, now)

    def __repr__(self) -> str:
        return f"<Judges of {len(self._judges)} routes>"

    def heed(self, aim_of: Callable[[str], int | None], failing: Callable[[str], None]) -> None:
        """Judge for the weight that is to come, if `aim_of` knows one; call `failing` when a canary has just been found
        to fail.
        """
        self._aim_of = aim_of
        self._failing = failing

    def configure(self, config: Config, now: float) -> set[str]:
        """The routes that there are; those without a canary have no judge. One whose canary is another now, or who is
        judged otherwise, begins again, with the requests of the next second; returns those.
        """
        routes = {name: route for name, route in config.routes.items() if route.canary is not None}
        for gone in self._judges.keys() - routes.keys():
            del self._judges[gone]
            self._said.pop(gone, None)
        anew = set()
        for name, route in routes.items():
            before = self._routes.get(name)
            if before is None or judged_otherwise(before, route):
                self._judges[name] = self._judge(route)
            if before is None or judged_otherwise(before, route) or before.canary != route.canary:
                self._judges[name].restart(now, first=int(now) + 1 if before is not None else 0)
                anew.add(name)
        self._routes = routes
        self._plain = config.routes.keys() - routes.keys()
        return anew

    def _judge(self, route: RouteConfig) -> Judge:
        return Judge(route.spec or UNJUDGED, affinity=route.affinity is not None, dice=self._dice)

    def add(self, slot: int, delta: Delta, news: list[News]) -> None:
        """File a worker's report, and what its users are new to."""
        self._told[slot] = delta.at
        reports = by_route(delta, news, self._judges.keys())
        waited = frozenset(name for name, report in reports.items() if report.waiting)
        before, self._waited[slot] = self._waited.get(slot, frozenset()), waited
        for name in (before & self._judges.keys()) - reports.keys():
            reports[name] = Report()
        current = delta.generation == self._generation()
        for name in reports:
            with self._trying(name) as judge:
                self._file(name, judge, slot, delta.at, reports[name], current=current)

    def _file(self, name: str, judge: Judge, slot: int, at: float, report: Report, *, current: bool) -> None:
        judge.follow(at, self._weight_of(name) or 0)
        for cell in report.cells:
            judge.count(cell, current=current)
        for goal in report.goals:
            judge.reach(goal)
        for one in report.news:
            judge.met(one)
        judge.reported(slot, at, report.waiting)
        failed = judge.failed(at)
        if failed is not None and self._said.get(name) != "fail":
            self._say(name, failed)

    @contextmanager
    def _trying(self, name: str) -> Iterator[Judge]:
        """The judge of a route. One that breaks takes nothing with it: what serves and counts goes on, and the judge
        begins anew.
        """
        try:
            yield self._judges[name]
        except Exception:
            log.exception("%s: the judge broke, and begins anew without its evidence", name)
            self._judges[name] = self._judge(self._routes[name])

    def reach(self, goal: GoalDelta) -> None:
        """Events of a version, reported through the API."""
        if goal.route in self._judges:
            with self._trying(goal.route) as judge:
                judge.reach(goal)

    def met(self, news: list[News]) -> None:
        """What users are new to, reported through the API."""
        for one in (one for one in news if one.route in self._judges):
            with self._trying(one.route) as judge:
                judge.met(one)

    def renew(self, route: str, now: float) -> None:
        """The canary is another one, or is looked at anew: forget what is known of it."""
        if route in self._judges and self._judges[route].begun:
            self._judges[route].restart(now, first=int(now) + 1)

    def snapshot(self, route: str, now: float) -> Document:
        """What a judge has learnt, as plain data."""
        return self._judges[route].snapshot(now)

    def restore(self, route: str, data: Document, now: float) -> bool:
        """Go on from there; False where it does not fit, and the judge begins anew."""
        try:
            self._judges[route].restore(data, now)
        except (TooNewError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            log.warning(
                "%s: what was known of the canary is of no use, it is judged from the beginning: %r", route, error
            )
            self._judges[route] = self._judge(self._routes[route])
            return False
        return True

    def panel(self, route: str) -> Panel | None:
        """The checks of a route's canary, for what comes from outside; another one for every beginning."""
        judge = self._judges.get(route)
        return None if judge is None else judge.panel

    def gone(self, slot: int) -> None:
        """A worker is no more."""
        self._told.pop(slot, None)
        self._waited.pop(slot, None)
        for judge in self._judges.values():
            judge.gone(slot)

    async def look(self, now: float) -> None:
        """A second has passed. Routes without traffic are not looked at, and what is not urgent is said now and
        then.
        """
        told = min(self._told.values(), default=now)
        self._looks += 1
        for number, name in enumerate(list(self._judges)):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            if name in self._judges:
                with self._trying(name) as judge:
                    self._look_at(name, judge, now, told, say=(self._looks + number) % PATIENT == 0)
            give_way()

    def _look_at(self, name: str, judge: Judge, now: float, told: float, *, say: bool) -> None:
        weight = self._weight_of(name) or 0
        if weight or not judge.idle:
            judge.look(now, weight, told, self._aim_of(name))
        if say or judge.failed(now):
            self._say(name, judge.analysis(now))

    def analysis(self, route: str, now: float) -> Analysis:
        """What is known of a route's canary; of one that has only just come into the config, that nothing is."""
        if route in self._plain:
            return replace(NOBODY.analysis(now), reason=WITHOUT)
        return self._judges.get(route, NOBODY).analysis(now)

    def verdict(self, route: str, now: float) -> Verdict:
        """That of its analysis; without a share nothing needs to be looked at to know it."""
        judge = self._judges.get(route, NOBODY)
        if judge.failed(now) is None and not self._weight_of(route):
            return "inconclusive"
        return judge.analysis(now).verdict

    def _say(self, name: str, analysis: Analysis) -> None:
        """Tell when the verdict is another one; in the log only what somebody should do something about."""
        before = self._said.get(name)
        if before == analysis.verdict:
            return
        self._said[name] = analysis.verdict
        if analysis.verdict == "fail":
            log.warning("%s: the canary fails: %s", name, analysis.reason)
            self._failing(name)
        if before is not None or analysis.verdict == "fail":
            self._events.tell("verdict", self._wall(), name, verdict=analysis.verdict, reason=analysis.reason)


def by_route(delta: Delta, news: Sequence[News], judged: Set[str]) -> dict[str, Report]:
    """What a worker reports of the routes that are judged, and is analysed, by route."""
    found: defaultdict[str, Report] = defaultdict(Report)
    for cell in delta.cells:
        if cell.key.analysed and cell.key.route in judged:
            found[cell.key.route].cells.append(cell)
    for goal in delta.goals:
        if goal.analysed and goal.route in judged:
            found[goal.route].goals.append(goal)
    for open_one in delta.overdue:
        if open_one.key.analysed and open_one.key.route in judged:
            found[open_one.key.route].waiting.append(open_one)
    for one in (one for one in news if one.route in judged):
        found[one.route].news.append(one)
    return found


def judged_otherwise(before: RouteConfig, after: RouteConfig) -> bool:
    """Whether evidence of one is none for the other."""
    return before.affinity != after.affinity or before.spec != after.spec
