"""The decision: which version and endpoint a request gets, and why."""

from functools import cached_property

from canaryproxy.model.table import Endpoint, Route, Version


class Verdict:
    """Version + reason, before an endpoint is chosen. Built once per table and shared.

    `analysed` says whether such requests count for `/stats` and the analysis; `preview` that they reach the
    canary even when it is aborted; `rescue` is the verdict of the version that may stand in, if one may;
    `spare` that there is somewhere else to go when an endpoint fails.
    """

    def __init__(
        self, route: Route, version: Version, reason: str, *, analysed: bool, preview: bool = False,
        rescue: "Verdict | None" = None,
    ) -> None:  # fmt: skip
        self.route = route
        self.version = version
        self.reason = reason
        self.analysed = analysed
        self.preview = preview
        self.rescue = rescue
        self.spare = rescue is not None or len(version.endpoints) > 1

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

    __slots__ = ("analysed", "endpoint", "preview", "reason", "route", "spare", "verdict", "version")

    def __init__(self, verdict: Verdict, endpoint: Endpoint | None) -> None:
        self.verdict = verdict
        self.route = verdict.route
        self.version = verdict.version
        self.endpoint = endpoint
        self.reason = verdict.reason
        self.analysed = verdict.analysed
        self.preview = verdict.preview
        self.spare = verdict.spare

    def __repr__(self) -> str:
        at = "no endpoint" if self.endpoint is None else self.endpoint.authority
        return f"<Decision {self.route.name}: {self.version.name} at {at} by {self.reason}>"
