"""The decision: which version and endpoint a request gets, and why."""

from collections.abc import Callable
from typing import Any, Protocol

from canaryproxy.model.client import Client
from canaryproxy.model.message import RequestHead, ResponseHead
from canaryproxy.model.table import Endpoint, Route, Version


class Recogniser(Protocol):
    """Tells which goals an exchange reaches."""

    def reached(
        self, request: RequestHead, client: Client, response: ResponseHead, facts: Any = None
    ) -> list[tuple[str, float]]:
        """Names of goals with the values of their events. `facts` are what routing knows of the request."""


class Advice(Protocol):
    """Says to caches what they may do with a route's answers. `vary` is the line that names what they depend on."""

    vary: bytes

    def lines(self, head: ResponseHead, cookie: bytes, wall: Callable[[], float]) -> bytes:
        """Lines of ours for the final head of an answer, the one with a new cookie among them."""


class Verdict:
    """Version + reason, before an endpoint is chosen. Built once per table and shared.

    `analysed` says whether such requests count for `/stats` and the analysis; `preview` that they reach the
    canary even when it is aborted; `rescue` is the verdict of the version that may stand in where
    nothing can be reached, `shield` that of the one that may answer where an attempt failed, `mirror` that of the one
    that gets a copy; None where there is none. `goals` recognises business events, `caches` is what caches have to
    know, if anything; `spare`: there is somewhere else to go when an attempt fails, or when we take a request back from
    the canary.
    """

    __slots__ = (
        "_decisions", "analysed", "caches", "goals", "mirror", "preview", "reason", "rescue", "route", "shield",
        "spare", "version",
    )  # fmt: skip

    def __init__(
        self, route: Route, version: Version, reason: str, *, analysed: bool, preview: bool = False,
        rescue: "Verdict | None" = None, shield: "Verdict | None" = None, mirror: "Verdict | None" = None,
        goals: Recogniser | None = None, caches: Advice | None = None,
    ) -> None:  # fmt: skip
        self.route = route
        self.version = version
        self.reason = reason
        self.analysed = analysed
        self.preview = preview
        self.rescue = rescue
        self.shield = shield
        self.mirror = mirror
        self.goals = goals
        self.caches = caches
        self.spare = version.name == "canary" or rescue is not None or len(version.endpoints) > 1
        self._decisions: tuple[Decision, ...] | None = None

    def __repr__(self) -> str:
        return f"<Verdict {self.route.name}: {self.version.name} by {self.reason}>"

    def decisions(self) -> "tuple[Decision, ...]":
        """One for each endpoint; where there is none, one without."""
        if self._decisions is None:
            self._decisions = tuple([Decision(self, endpoint) for endpoint in self.version.endpoints or (None,)])
        return self._decisions


class Decision:
    """Version + endpoint + reason. Shared by all requests that get it.

    Compared and hashed by identity, so the data plane can key its counters by the object itself. `told` is the
    version's name where its endpoint is to be told of it, else None; times are those of the version, in seconds.
    """

    __slots__ = (
        "analysed", "caches", "connect_timeout", "endpoint", "goals", "keep_alive", "limit", "mirror", "preview",
        "reason",
        "response_timeout", "route", "shield", "spare", "told", "verdict", "version",
    )  # fmt: skip

    def __init__(self, verdict: Verdict, endpoint: Endpoint | None) -> None:
        version = verdict.version
        self.verdict = verdict
        self.route = verdict.route
        self.version = version
        self.endpoint = endpoint
        self.reason = verdict.reason
        self.analysed = verdict.analysed
        self.preview = verdict.preview
        self.spare = verdict.spare
        self.shield = verdict.shield
        self.mirror = verdict.mirror
        self.goals = verdict.goals
        self.caches = verdict.caches
        self.told = version.name.encode("ascii") if verdict.route.add_version else None
        self.limit = version.max_in_flight
        self.connect_timeout = version.connect_timeout
        self.response_timeout = version.response_timeout
        self.keep_alive = version.keep_alive

    def __repr__(self) -> str:
        at = "no endpoint" if self.endpoint is None else self.endpoint.authority
        return f"<Decision {self.route.name}: {self.version.name} at {at} by {self.reason}>"
