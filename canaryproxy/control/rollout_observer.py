"""Observations of a rollout: the judge's verdict, the health of endpoints, and traffic.

Nothing is decided here; `canaryproxy.rollout` decides.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from canaryproxy.analysis.finding import report
from canaryproxy.config.schema.rollout import NEEDED_FOR_PROOF, expected_seconds
from canaryproxy.control.evidence_keeper import EvidenceKeeper
from canaryproxy.control.judges import Judges
from canaryproxy.control.route_states import RouteStates
from canaryproxy.control.topology import Topology
from canaryproxy.rollout.machine import followed
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import Observation, Rollout
from canaryproxy.telemetry.read.users import UserRegistry
from canaryproxy.telemetry.read.window import Window
from canaryproxy.telemetry.record.distinct_users import DistinctUsers

# Seconds over which the request rate is averaged: steady, yet follows a change of load within a step.
TRAFFIC_WINDOW_SECONDS = 10.0

NO_USERS = DistinctUsers()


@dataclass(eq=False)
class RolloutObserver:
    """Observes the routes of an instance. `clock` is the clock of the deltas."""

    _topology: Topology
    _states: RouteStates
    _judges: Judges
    _memory: EvidenceKeeper
    _window: Window
    _users: UserRegistry
    _clock: Callable[[], float]

    def __repr__(self) -> str:
        return f"<RolloutObserver of {self._topology!r}>"

    def rollout(self, route: str) -> Rollout:
        """A route's current rollout."""
        return self._states.state[route].rollout

    def traffic(self, route: str) -> float:
        """The current rate of both versions in requests per second."""
        now, span = self._clock(), TRAFFIC_WINDOW_SECONDS
        return sum(self._window.sample((route, version), now, span).requests for version in ("stable", "canary")) / span

    def plan(self, route: str) -> Plan:
        """The plan of the current rollout: the steps are those of its start."""
        return followed(self.new_plan(route), self.rollout(route))

    def new_plan(self, route: str) -> Plan:
        """The plan of a rollout that begins now."""
        return self._topology.config.routes[route].rollout.plan(self.traffic(route))

    def estimate(self, route: str) -> float:
        """Estimated seconds of the current step; infinite without traffic."""
        rollout, config = self.rollout(route), self._topology.config.routes[route]
        if rollout.step is None or config.spec is None:
            return 0.0
        step = rollout.steps[rollout.step]
        proof = (rollout.next_weight or 0) > config.rollout.prove_above
        needed = max(config.spec.min_requests, NEEDED_FOR_PROOF if proof else 0)
        return expected_seconds(step.dwell, step.weight, needed, self.traffic(route))

    def canary_users(self, route: str) -> int | None:
        """The canary's users at the current weight; None where users are not distinguished."""
        config = self._topology.config.routes[route]
        if config.canary is None or config.affinity is None:
            return None
        step = self._users.weight_period(route, self._states.state[route].weight, self._clock())
        return len(step.seen.get("canary", NO_USERS))

    def report(self, route: str) -> dict[str, Any]:
        """The current report on the canary, as plain data."""
        return report(self._judges.analysis(route, self._clock()), self.canary_users(route))

    def observe(self, route: str) -> Observation:
        """The current observation of a route."""
        config = self._topology.config.routes[route]
        sides = self._topology.endpoints(route).items()
        healthy = {version: [state != "unhealthy" for _, state in endpoints] for version, endpoints in sides}
        checked = config.canary is not None and config.canary.health is not None
        estimate = self.estimate(route)
        analysis = self._judges.analysis(route, self._clock())
        facts = Observation(
            analysis.verdict if config.spec is not None else "pass",
            analysis.reason,
            excess_failures=analysis.exposed.excess_failures,
            uncontrolled="" if analysis.dry_run else analysis.uncontrolled,
            stable_ill=not any(healthy["stable"]),
            estimate=estimate if math.isfinite(estimate) else 0.0,
            lost=self._memory.lost(route),
            urgent=any(one.name == "limit:error_rate" and one.verdict == "fail" for one in analysis.checks),
        )
        if checked and healthy["canary"] and not any(healthy["canary"]):
            why = "no endpoint of the canary passes its health check"
            return replace(facts, verdict="fail", why=why, urgent=True)
        rollout = self.rollout(route)
        if rollout.phase == "progressing" and not rollout.weight and facts.verdict != "fail":
            return replace(facts, verdict="pass", why="a step without traffic of its own")
        only_reported = analysis.dry_run and analysis.verdict == "fail"
        return replace(facts, verdict="inconclusive") if only_reported else facts
