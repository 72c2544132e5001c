"""Stores the evidence of judges across restarts, and accounts for the time without supervision."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from canaryproxy.control import evidence
from canaryproxy.control.evidence import Evidence, identity
from canaryproxy.control.judges import Judges
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.route_states import RouteStates
from canaryproxy.control.topology import Topology
from canaryproxy.control.version_tracker import VersionTracker
from canaryproxy.model.document import TooNewError
from canaryproxy.rollout.state import Rollout

log = logging.getLogger("canaryproxy")

# Routes stored at a time.
MAX_STORED = 20


@dataclass(eq=False)
class EvidenceKeeper:
    """Stores evidence once a second. `clock` is the clock of the deltas, `wall_clock` gives Unix time in seconds."""

    _topology: Topology
    _states: RouteStates
    _judges: Judges
    _versions: VersionTracker
    _clock: Callable[[], float]
    _wall_clock: Callable[[], float]
    _unwatched: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)
    _extra: dict[str, tuple[float, Mapping[str, Any]]] = field(default_factory=dict, init=False)
    _written: bool = field(default=True, init=False)
    _turn: int = field(default=0, init=False)

    def __repr__(self) -> str:
        return f"<EvidenceKeeper: {self._unwatched}>"

    def lost(self, route: str) -> float:
        """Seconds of the current step without supervision."""
        step, lost = self._unwatched.get(route, (0.0, 0.0))
        return lost if step == self._rollout(route).step_since else 0.0

    async def store(self, routes: Sequence[str]) -> None:
        """Store the evidence of these routes, many of them in turns, and delete that of all others."""
        if not routes and not self._written:
            return
        first = self._turn % len(routes) if routes else 0
        some = [*routes[first:], *routes[:first]][:MAX_STORED]
        self._turn = first + len(some)
        documents = {route: evidence.dump(self._snapshot(route)) for route in some}
        try:
            await self._states.remember(documents, set(routes))
            self._written = bool(routes)
        except UnwritableStateError as error:
            log.debug("evidence cannot be stored: %s", error)

    def _snapshot(self, route: str) -> Evidence:
        began, extra = self._extra.get(route, (0.0, {}))
        # Unknown fields of a later version belong to the rollout they were stored with.
        extra = extra if began == self._rollout(route).began else {}
        at, of, version = self._wall_clock(), identity(self._topology.config.routes[route]), self._versions.known(route)
        judge = self._judges.snapshot(route, self._clock())
        return Evidence(at, of, version, self._rollout(route).step_since, self.lost(route), judge, extra)

    def _rollout(self, route: str) -> Rollout:
        return self._states.state[route].rollout

    async def restore(self, routes: Sequence[str]) -> None:
        """Restore the evidence that the previous process stored for these routes."""
        learnt = await self._states.learnt()
        for route in routes:
            try:
                found = evidence.load(learnt[route]) if route in learnt else None
            except (TooNewError, ValueError, TypeError, KeyError) as error:
                log.warning("%s: stored evidence is not usable; analysis restarted: %r", route, error)
                found = None
            self._recall(route, found)

    def _recall(self, route: str, found: Evidence | None) -> None:
        began = since = self._rollout(route).step_since
        lost = 0.0
        if found is not None and found.version:
            self._versions.resume(route, found.version)
        if found is not None and found.of != identity(self._topology.config.routes[route]):
            log.warning("%s: canary or analysis changed in the config; analysis restarted", route)
        elif found is not None:
            self._extra[route] = self._rollout(route).began, found.extra
            if self._judges.restore(route, found.judge, self._clock()):
                since, lost = found.at, found.lost if found.step == began else 0.0
        self._unwatched[route] = (began, lost + max(self._wall_clock() - since, 0.0))
