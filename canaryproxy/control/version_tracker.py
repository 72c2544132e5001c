"""Detects canaries that are replaced in place: their health check responses report another version."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from canaryproxy.config import Config
from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.control.route_states import RouteStates
from canaryproxy.control.topology import Topology
from canaryproxy.model.table import VersionName
from canaryproxy.rollout.identity import NAMELESS, RolloutIdentity, identifier
from canaryproxy.rollout.state import UNDER_WAY, RolloutEvent

log = logging.getLogger("canaryproxy")

# Seconds for which a canary must report another version before it counts as replaced.
SETTLE_SECONDS = 10.0


@dataclass(slots=True)
class CanaryName:
    """The version a canary is known as, and the one it has reported since `since`."""

    known: str
    announced: str
    since: float

    def update(self, announced: str, now: float) -> bool:
        """Note a report; True when the canary counts as replaced."""
        if announced != self.announced:
            self.announced, self.since = announced, now
        if self.announced == self.known or now - self.since < SETTLE_SECONDS:
            return False
        self.known = self.announced
        return True


@dataclass(eq=False)
class VersionTracker:
    """The reported versions of all canaries. `clock` is a monotonic clock, `wall_clock` gives seconds since 1970."""

    _topology: Topology
    _states: RouteStates
    _clock: Callable[[], float]
    _wall_clock: Callable[[], float]
    _names: dict[str, CanaryName] = field(default_factory=dict, init=False)
    _alike: dict[str, float] = field(default_factory=dict, init=False)
    _config: Config | None = field(default=None, init=False)
    _announcing: list[str] = field(default_factory=list, init=False)
    _named: list[str] = field(default_factory=list, init=False)

    def __repr__(self) -> str:
        return f"<VersionTracker of {len(self._names)} routes>"

    def known(self, route: str) -> str:
        """The version a route's canary is known as; empty if it has reported none."""
        noted = self._names.get(route)
        return "" if noted is None else noted.known

    def resume(self, route: str, version: str) -> None:
        """Set the version known to the previous process."""
        self._names[route] = CanaryName(version, version, self._clock())

    def announced_name(self, route: str, side: VersionName) -> str:
        """The version reported by all healthy endpoints (empty if they differ), or else the config's."""
        sides = self._topology.config.routes[route]
        config: VersionConfig | None = sides.canary if side == "canary" else sides.stable
        if config is None:
            return ""
        if config.health is None or not config.health.version_header:
            return config.version
        ends, versions = self._topology.endpoints(route)[side], self._topology.health.versions
        reported = {versions.get(endpoint, "") for endpoint, state in ends if state == "healthy"}
        return reported.pop() if len(reported) == 1 else ""

    def now(self, route: str, given: str = "", stable: str = "") -> RolloutIdentity:
        """The identity of a rollout that would begin now; `given` and `stable` are versions named in a request."""
        canary = self.announced_name(route, "canary")
        # Random bits tell apart rollouts that begin in the same second.
        fresh = identifier(self._wall_clock(), secrets.randbits(32))
        return RolloutIdentity(fresh, given, canary, stable or self.announced_name(route, "stable"))

    def identity(self, route: str) -> RolloutIdentity:
        """The current rollout's identity; in idle, the current versions. A finished rollout keeps its versions."""
        rollout = self._states.state[route].rollout
        if rollout.phase == "idle":
            return replace(self.now(route), id="")
        return with_missing(rollout.identity, self.now(route)) if rollout.phase in UNDER_WAY else rollout.identity

    def about(self, route: str) -> RolloutIdentity:
        """The same, and `NAMELESS` for an unknown route."""
        known = route in self._states.state and route in self._topology.config.routes
        return self.identity(route) if known else NAMELESS

    def _look_again(self) -> None:
        """Update the lists of routes whose canary has, or reports, a version: only when the config has changed."""
        if self._config is self._topology.config:
            return
        self._config = self._topology.config
        canaries = {name: route.canary for name, route in self._config.routes.items() if route.canary is not None}
        telling = {name for name, one in canaries.items() if one.health is not None and one.health.version_header}
        self._announcing = list(filter(telling.__contains__, canaries))
        self._named = [name for name, one in canaries.items() if one.version or name in telling]

    def others(self) -> list[str]:
        """Routes whose canary has been replaced: a deployment has finished."""
        self._look_again()
        found = []
        for route in self._announcing:
            reported = self.announced_name(route, "canary")
            if reported:
                noted = self._names.setdefault(route, CanaryName(reported, reported, self._clock()))
                if noted.update(reported, self._clock()):
                    log.info("%s: the canary reports version %s now", route, reported)
                    found.append(route)
        return found

    def merged(self) -> list[str]:
        """Routes whose stable has reported the canary's version for a while: the canary was promoted."""
        self._look_again()
        found, now = [], self._clock()
        for route in self._named:
            stable = self.announced_name(route, "stable")
            if not stable or stable != self.announced_name(route, "canary"):
                self._alike.pop(route, None)
            elif now - self._alike.setdefault(route, now) >= SETTLE_SECONDS:
                found.append(route)
        return found


def with_missing(mine: RolloutIdentity, now: RolloutIdentity) -> RolloutIdentity:
    """The identity of a rollout, its unknown versions filled in from `now`. Pure."""
    return RolloutIdentity(mine.id, mine.given, mine.announced or now.announced, mine.stable or now.stable)


def retried(before: RolloutIdentity, now: RolloutIdentity) -> RolloutIdentity:
    """A retry keeps the version named for the first try, unless the canary reports another one now. Pure."""
    other = before.announced and now.announced and before.announced != now.announced
    return now if other else replace(now, given=before.given)


def as_named(mine: RolloutIdentity, changed: RolloutEvent, age: float) -> RolloutEvent:
    """Turn a change of the reported version `age` seconds after the start into the start's version where that was named
    in advance and has only just been deployed. Pure.
    """
    said = changed.identity.announced
    if mine.given and said == mine.given:
        return replace(changed, kind="named", identity=replace(mine, announced=said))
    if mine.given and mine.announced != mine.given and age < 2 * SETTLE_SECONDS:
        return replace(changed, identity=replace(mine, announced=said))
    return changed
