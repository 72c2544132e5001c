"""Follow-up of a rollout's change: count it, notify webhooks, warn of a long step."""

import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from canaryproxy.analysis import wording
from canaryproxy.control.hooks import Hooks
from canaryproxy.control.results import RolloutResult
from canaryproxy.control.rollout_observer import RolloutObserver
from canaryproxy.control.route_states import RouteStates
from canaryproxy.control.topology import Topology
from canaryproxy.rollout.state import Rollout

log = logging.getLogger("canaryproxy")

ENDS = ("succeeded", "rolled_back")

LONG = 3600.0
"""Seconds of a step that are logged as a warning where no timeout is configured."""


@dataclass(eq=False)
class Notifier:
    """Follows up changes of rollouts. `ended` counts finished ones by route, phase and reason."""

    _topology: Topology
    _states: RouteStates
    _observations: RolloutObserver
    _hooks: Hooks
    _wall_clock: Callable[[], float]
    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter, init=False)

    def __repr__(self) -> str:
        return f"<Notifier: {self.ended.total()} ended>"

    def follow_up(self, route: str, before: Rollout, done: RolloutResult) -> None:
        """Follow up the change of a route's rollout from `before` to `done`."""
        turned = done.rollout.phase != before.phase
        if turned and done.rollout.phase in ENDS:
            self.ended[route, done.rollout.phase, done.rollout.reason] += 1
        config = self._topology.config.routes.get(route)
        if config is None:
            return
        past = self._states.state[route].past
        begun = done.rollout.identity.id != before.identity.id
        if begun and past and past[-1].superseded_by == done.rollout.identity.id:
            self.ended[route, "superseded", ""] += 1
        if done.rollout.step != before.step:
            self._warn(route)
        hooks, notify = config.rollout.hooks, config.rollout.notify
        self._hooks.notify(route, hooks, notify, done.rollout, done.notice, self._wall_clock(), turned=turned)

    def _warn(self, route: str) -> None:
        """Warn of a step that will take longer than its timeout."""
        rollout, config = self._states.state[route].rollout, self._topology.config.routes[route].rollout
        estimate, traffic = self._observations.estimate(route), self._observations.traffic(route)
        if rollout.phase == "progressing" and estimate > (config.step_timeout or LONG):
            rounded = f"about {wording.seconds(float(f'{estimate:.2g}'))}" if math.isfinite(estimate) else ""
            needs, step = rounded or "traffic, of which there is none", f"{rollout.weight / 100:g}"
            rate = wording.number(traffic)
            log.warning("%s: at %s requests/s the step to %s %% needs %s", route, rate, step, needs)
