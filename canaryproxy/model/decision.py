"""The decision: which version and endpoint a request gets, and why."""

from canaryproxy.model.table import Endpoint, Route, Version


class Decision:
    """Version + endpoint + reason. Built once per table and shared by all requests that get it.

    Compared and hashed by identity, so the data plane can key its counters by the object itself.
    `analysed` says whether the request counts for `/stats` and the analysis.
    """

    __slots__ = ("analysed", "endpoint", "generation", "reason", "route", "version")

    def __init__(
        self, route: Route, version: Version, endpoint: Endpoint, reason: str, generation: int, *, analysed: bool
    ) -> None:
        self.route = route
        self.version = version
        self.endpoint = endpoint
        self.reason = reason
        self.generation = generation
        self.analysed = analysed

    def __repr__(self) -> str:
        return (
            f"<Decision {self.route.name}: {self.version.name} at {self.endpoint.authority} by {self.reason}, "
            f"generation {self.generation}>"
        )
