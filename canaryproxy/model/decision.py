"""The decision: version and endpoint of a request, and the reason."""

from collections.abc import Callable
from typing import Any, Protocol

from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.table import Endpoint, Route, Version


class GoalRecogniser(Protocol):
    """Recognises the goals that an exchange reaches."""

    def match(
        self, request: RequestHead, client: Client, response: ResponseHead, facts: Any = None
    ) -> list[tuple[str, float]]:
        """Names of goals with the values of their events. `facts` is routing's view of the request."""


class CacheAdvice(Protocol):
    """Adds caching fields to a route's responses. `vary` is the complete Vary line."""

    vary: bytes

    def lines(self, head: ResponseHead, cookie: bytes, wall_clock: Callable[[], float]) -> bytes:
        """The lines to add to a final response head, `cookie` included."""


class VersionChoice:
    """Version and reason, before an endpoint is chosen. Built once per table and shared.

    `analysed`: such requests count for `/stats` and the analysis; `preview`: they reach the canary even when it is
    aborted. `fallback` is the choice if no endpoint can be reached, `shield` the one after a failed attempt, `mirror`
    the one for a copy; each may be None. `goals` recognises business events, `caches` adds caching fields.
    `has_alternative`: a failed or withdrawn request can go somewhere else.
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
        """One decision per endpoint; without endpoints, a single one without an endpoint."""
        if self._decisions is None:
            self._decisions = tuple([Decision(self, endpoint) for endpoint in self.version.endpoints or (None,)])
        return self._decisions


class Decision:
    """Version, endpoint and reason. Shared by all requests with this decision.

    Compared and hashed by identity, so counters can be keyed by the object itself. `version_header` is the version's
    name if it is sent to the endpoint, else None; times are those of the version, in seconds.
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
