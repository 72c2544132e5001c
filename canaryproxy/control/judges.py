"""A judge for every route: given what workers report, asked by whoever shows or acts.

Judging is pure (`canaryproxy.analysis`); here it is only fed. Reports are bet on as they come, so that a canary that
fails everything is known within a report or two; the rest is looked at once a second, a few routes at a time, since a
rollback may be waiting for the loop.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from canaryproxy.analysis.finding import Analysis
from canaryproxy.analysis.judge import Judge
from canaryproxy.analysis.spec import Spec
from canaryproxy.config import Config
from canaryproxy.config.route import RouteConfig
from canaryproxy.control.events import Events
from canaryproxy.model.delta import Delta, GoalDelta, Open
from canaryproxy.telemetry.users import News

log = logging.getLogger("canaryproxy")

UNJUDGED = Spec(errors=None, latency=None, refusals=None, limits=None)
"""Of a route whose canary nobody wants judged: its share is still watched."""

NOTHING_KNOWN = Judge(UNJUDGED, affinity=False, dice=lambda: 0.0).analysis(0.0)

BREATH = 10
"""Routes that are looked at before others get their turn on the loop."""


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
        self._routes: dict[str, RouteConfig] = {}
        self._judges: dict[str, Judge] = {}
        self._said: dict[str, str] = {}
        self._told: dict[int, float] = {}
        self._waited: dict[int, frozenset[str]] = {}
        self.configure(config, now)

    def __repr__(self) -> str:
        return f"<Judges of {len(self._judges)} routes>"

    def configure(self, config: Config, now: float) -> set[str]:
        """The routes that there are. One whose canary is another now, or who is judged otherwise, begins anew, with the
        requests of the next second; returns those.
        """
        for gone in self._judges.keys() - config.routes.keys():
            del self._judges[gone]
            self._said.pop(gone, None)
        anew = set()
        for name, route in config.routes.items():
            before = self._routes.get(name)
            if before is None or judged_otherwise(before, route):
                self._judges[name] = self._judge(route)
            if before is None or judged_otherwise(before, route) or before.canary != route.canary:
                self._judges[name].restart(now, first=int(now) + 1 if before is not None else 0)
                anew.add(name)
        self._routes = dict(config.routes)
        return anew

    def _judge(self, route: RouteConfig) -> Judge:
        return Judge(route.spec or UNJUDGED, affinity=route.affinity is not None, dice=self._dice)

    def add(self, slot: int, delta: Delta, news: list[News]) -> None:
        """File a worker's report, and what its users are new to."""
        self._told[slot] = delta.at
        waiting = _by_route(delta)
        before, self._waited[slot] = self._waited.get(slot, frozenset()), frozenset(waiting)
        touched = {cell.key.route for cell in delta.cells if cell.key.analysed}
        touched |= {one.route for one in news} | before | waiting.keys()
        judges = {name: self._judges[name] for name in touched if name in self._judges}
        for name, judge in judges.items():
            judge.follow(delta.at, self._weight_of(name) or 0)
        current = delta.generation == self._generation()
        for cell in delta.cells:
            if cell.key.analysed and cell.key.route in judges:
                judges[cell.key.route].count(cell, current=current)
        for goal in delta.goals:
            if goal.analysed:
                self.reach(goal)
        self.met(news)
        for name, judge in judges.items():
            judge.reported(slot, delta.at, waiting.get(name, ()))
            failed = judge.verdict_now(delta.at)
            if failed is not None and self._said.get(name) != "fail":
                self._say(name, failed)

    def reach(self, goal: GoalDelta) -> None:
        """Events of a version, seen in the traffic or reported through the API."""
        if goal.route in self._judges:
            self._judges[goal.route].reach(goal)

    def met(self, news: list[News]) -> None:
        """What users are new to, seen in the traffic or reported through the API."""
        for one in news:
            if one.route in self._judges:
                self._judges[one.route].met(one)

    def gone(self, slot: int) -> None:
        """A worker is no more."""
        self._told.pop(slot, None)
        self._waited.pop(slot, None)
        for judge in self._judges.values():
            judge.gone(slot)

    async def look(self, now: float) -> None:
        """A second has passed. Routes without traffic are not looked at."""
        told = min(self._told.values(), default=now)
        for number, (name, judge) in enumerate(list(self._judges.items())):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            weight = self._weight_of(name) or 0
            if self._judges.get(name) is judge and (weight or not judge.idle):
                self._say(name, judge.look(now, weight, told))

    def analysis(self, route: str, now: float) -> Analysis:
        """What is known of a route's canary; of one that has only just come into the config, that nothing is."""
        judge = self._judges.get(route)
        return NOTHING_KNOWN if judge is None else judge.analysis(now)

    def _say(self, name: str, analysis: Analysis) -> None:
        """Tell when the verdict is another one; in the log only what somebody should do something about."""
        before = self._said.get(name)
        if before == analysis.verdict:
            return
        self._said[name] = analysis.verdict
        if analysis.verdict == "fail":
            log.warning("%s: the canary fails: %s", name, analysis.reason)
        if before is not None:
            self._events.tell("verdict", self._wall(), name, verdict=analysis.verdict, reason=analysis.reason)


def _by_route(delta: Delta) -> Mapping[str, tuple[Open, ...]]:
    found: dict[str, tuple[Open, ...]] = {}
    for one in delta.overdue:
        if one.key.analysed:
            found[one.key.route] = (*found.get(one.key.route, ()), one)
    return found


def judged_otherwise(before: RouteConfig, after: RouteConfig) -> bool:
    """Whether evidence of one is none for the other."""
    return before.affinity != after.affinity or before.spec != after.spec
