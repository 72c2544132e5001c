"""The decision: which version and endpoint a request gets, and why."""

from collections.abc import Callable
from typing import Any, Protocol

from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.table import Endpoint, Route, Version


class GoalRecogniser(Protocol):
    """Tells which goals an exchange reaches."""

    def match(
        self, request: RequestHead, client: Client, response: ResponseHead, facts: Any = None
    ) -> list[tuple[str, float]]:
        """Names of goals with the values of their events. `facts` are what routing knows of the request."""


class CacheAdvice(Protocol):
    """Says to caches what they may do with a route's answers. `vary` is the line that names what they depend on."""

    vary: bytes

    def lines(self, head: ResponseHead, cookie: bytes, wall_clock: Callable[[], float]) -> bytes:
        """Lines of ours for the final head of an answer, the one with a new cookie among them."""


class VersionChoice:
    """Version + reason, before an endpoint is chosen. Built once per table and shared.

    `analysed` says whether such requests count for `/stats` and the analysis; `preview` that they reach the
    canary even when it is aborted; `fallback` is the verdict of the version that may stand in where
    nothing can be reached, `shield` that of the one that may answer where an attempt failed, `mirror` that of the one
    that gets a copy; None where there is none. `goals` recognises business events, `caches` is what caches have to
    know, if anything; `has_alternative`: there is somewhere else to go when an attempt fails, or when we take a request
    back from the canary.
    """

    def __init__(
        self,
        route: Route,
        version: Version,
        reason: str,
        *,
        analysed: bool,
        preview: bool = False,
        fallback: "VersionChoice | None" = None,
        shield: "VersionChoice | None" = None,
        mirror: "VersionChoice | None" = None,
        goals: GoalRecogniser | None = None,
        caches: CacheAdvice | None = None,
    ) -> None:
        self.route = route
        self.version = version
        self.reason = reason
        self.analysed = analysed
        self.preview = preview
        self.fallback = fallback
        self.shield = shield
        self.mirror = mirror
        self.goals = goals
        self.caches = caches
        self.has_alternative = version.name == "canary" or fallback is not None or len(version.endpoints) > 1
        self._decisions: tuple[Decision, ...] | None = None

    def __repr__(self) -> str:
        return f"<VersionChoice {self.route.name}: {self.version.name} by {self.reason}>"

    def decisions(self) -> "tuple[Decision, ...]":
        """One for each endpoint; where there is none, one without."""
        if self._decisions is None:
            self._decisions = tuple([Decision(self, endpoint) for endpoint in self.version.endpoints or (None,)])
        return self._decisions


class Decision:
    """Version + endpoint + reason. Shared by all requests that get it.

    Compared and hashed by identity, so the data plane can key its counters by the object itself. `version_header` is
    the version's name where it is sent to the endpoint, else None; times are those of the version, in seconds.
    """

    def __init__(self, choice: VersionChoice, endpoint: Endpoint | None) -> None:
        version = choice.version
        self.choice = choice
        self.route = choice.route
        self.version = version
        self.endpoint = endpoint
        self.reason = choice.reason
        self.analysed = choice.analysed
        self.preview = choice.preview
        self.has_alternative = choice.has_alternative
        self.shield = choice.shield
        self.mirror = choice.mirror
        self.goals = choice.goals
        self.caches = choice.caches
        self.version_header = version.name.encode("ascii") if choice.route.add_version else None
        self.limit = version.max_in_flight
        self.connect_timeout = version.connect_timeout
        self.response_timeout = version.response_timeout
        self.keep_alive = version.keep_alive

    def __repr__(self) -> str:
        at = "no endpoint" if self.endpoint is None else self.endpoint.authority
        return f"<Decision {self.route.name}: {self.version.name} at {at} by {self.reason}>"
