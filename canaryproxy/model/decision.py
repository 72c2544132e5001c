"""The decision: which version and endpoint a request gets, and why."""

from functools import cached_property
from typing import Protocol

from canaryproxy.model.client import Client
from canaryproxy.model.message import RequestHead, ResponseHead
from canaryproxy.model.table import Endpoint, Route, Version


class Recogniser(Protocol):
    """Tells which goals an exchange reaches."""

    def reached(self, request: RequestHead, client: Client, response: ResponseHead) -> list[tuple[str, float]]:
        """Names of goals with the values of their events."""


class Verdict:
    """Version + reason, before an endpoint is chosen. Built once per table and shared.

    `analysed` says whether such requests count for `/stats` and the analysis; `preview` that they reach the
    canary even when it is aborted; `rescue` is the verdict of the version that may stand in where
    nothing can be reached, `shield` that of the one that may answer where an attempt failed, `mirror` that of the one
    that gets a copy; None where there is none. `goals` recognises business events; `spare`: there is somewhere else to
    go when an attempt fails.
    """

    def __init__(
        self, route: Route, version: Version, reason: str, *, analysed: bool, preview: bool = False,
        rescue: "Verdict | None" = None, shield: "Verdict | None" = None, mirror: "Verdict | None" = None,
        goals: Recogniser | None = None,
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
        self.spare = rescue is not None or shield is not None or len(version.endpoints) > 1

    def __repr__(self) -> str:
        return f"<Verdict {self.route.name}: {self.version.name} by {self.reason}>"

    @cached_property
    def decisions(self) -> "tuple[Decision, ...]":
        """One for each endpoint; where there is none, one without."""
        return tuple(Decision(self, endpoint) for endpoint in self.version.endpoints or (None,))


class Decision:
    """Version + endpoint + reason. Shared by all requests that get it.

    Compared and hashed by identity, so the data plane can key its counters by the object itself.
    """

    __slots__ = (
        "analysed", "endpoint", "goals", "mirror", "preview", "reason", "route", "shield", "spare", "verdict",
        "version",
    )  # fmt: skip

    def __init__(self, verdict: Verdict, endpoint: Endpoint | None) -> None:
        self.verdict = verdict
        self.route = verdict.route
        self.version = verdict.version
        self.endpoint = endpoint
        self.reason = verdict.reason
        self.analysed = verdict.analysed
        self.preview = verdict.preview
        self.spare = verdict.spare
        self.shield = verdict.shield
        self.mirror = verdict.mirror
        self.goals = verdict.goals

    def __repr__(self) -> str:
        at = "no endpoint" if self.endpoint is None else self.endpoint.authority
        return f"<Decision {self.route.name}: {self.version.name} at {at} by {self.reason}>"
