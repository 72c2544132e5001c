"""The routing table: what the control plane publishes and the data plane decides with.

Immutable plain data. A change of weight, route, rule or endpoint is a new table with the next generation;
an exchange finishes with the table it began with.
"""

from dataclasses import dataclass, field
from typing import Literal

from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule

FULL_WEIGHT = 10_000
"""Weights are basis points: the canary's share in 1/10,000 of the requests."""

VersionName = Literal["stable", "canary"]

SameSite = Literal["Lax", "Strict", "None"]

UPGRADES = ("websocket",)
"""Protocols that a connection may be upgraded to unless a route says otherwise."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One `host:port` of a version. Pools, in-flight counts and ejections are keyed by it.

    `host` is where to connect, mostly an address; `name` the name it was resolved from, or empty.
    """

    host: str
    port: int
    name: str = ""
    tls: UpstreamTls | None = None

    @property
    def authority(self) -> str:
        """`host:port` where we connect; an IPv6 address in brackets (RFC 3986 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def site(self) -> str:
        """`host:port` as it stands in a Host field: by the name, if it has one."""
        return f"{self.name}:{self.port}" if self.name else self.authority


@dataclass(frozen=True, slots=True)
class Version:
    """One side of a canary: the endpoints that may be used now, and how patient we are with them.

    Times in seconds. `endpoints` is empty while none is known or healthy. `max_in_flight` bounds the
    exchanges open at one time; None means any number.
    """

    name: VersionName
    endpoints: tuple[Endpoint, ...]
    connect_timeout: float = 1.0
    response_timeout: float = 30.0
    keep_alive: float = 4.0
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class Affinity:
    """What keeps a client on its bucket: a cookie with a random id, a header's value, or its address.

    `name` is that of the cookie or, in lower case, of the header. `max_age` is the cookie's life in seconds;
    None lets it end with the browser's session. `domain` empty means just the host that set it; `secure` that it is
    marked so in any case, not only under https. `salt` seeds the buckets; empty means the route's name.
    """

    by: Literal["cookie", "header", "source"]
    name: str = ""
    max_age: int | None = None
    same_site: SameSite = "Lax"
    domain: str = ""
    path: str = "/"
    secure: bool = False
    partitioned: bool = False
    salt: str = ""


@dataclass(frozen=True, slots=True)
class Caching:
    """What is said on answers that a shared cache may store: `cookie` gives clients their affinity cookie there, too,
    `vary_cookie` names Cookie in Vary.
    """

    cookie: bool = False
    vary_cookie: bool = False


@dataclass(frozen=True, slots=True)
class Shield:
    """Stable answers for a failed canary attempt. `timeout` is how long the canary may take until its response begins;
    `budget` the share of the canary's requests that may be answered so, in basis points.
    """

    timeout: float = 2.0
    budget: int = 2_000


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies of stable's requests for the canary: their share in basis points, and which of them qualify. `max_body`
    is in bytes.
    """

    percent: int
    methods: tuple[str, ...] = ("GET", "HEAD")
    max_body: int = 65_536


@dataclass(frozen=True, slots=True)
class Route:
    """A host + path entry with a stable version, and a canary where there is one. A route without is a plain one: its
    weight is 0, and nothing but stable is ever decided on.

    `hosts` empty means any host; an entry is an exact name or `*.suffix`, lower case, no port, no
    trailing dot. `paths` are prefixes by whole segments. `weight` is in basis points. `aborted`: the canary is
    off, whatever weight and rules say. `fallback` names the versions that the other one may stand in for.
    `salt` seeds the buckets of clients; empty means the route's name. Requests that meet one of `excluded` are routed
    like any other and stay out of the analysis.
    """

    name: str
    stable: Version
    canary: Version | None = None
    weight: int = 0
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    add_version: bool = False
    rules: tuple[Rule, ...] = ()
    affinity: Affinity | None = None
    aborted: bool = False
    fallback: frozenset[VersionName] = field(default=frozenset(("canary",)))
    upgrades: tuple[str, ...] = UPGRADES
    salt: str = ""
    shield: Shield | None = None
    mirror: Mirror | None = None
    goals: tuple[Goal, ...] = ()
    excluded: tuple[Condition, ...] = ()
    caching: Caching = field(default_factory=Caching)

    @property
    def versions(self) -> tuple[Version, ...]:
        """Those that there are."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= FULL_WEIGHT:
            raise ValueError(f"weight {self.weight} of route {self.name!r} is not in 0..{FULL_WEIGHT}")
        if self.canary is None and (self.weight or any(rule.reaches_canary for rule in self.rules)):
            raise ValueError(f"route {self.name!r} has no canary, and something reaches it")


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Every route, and the generation that a worker acknowledges. Generations only grow."""

    generation: int
    routes: tuple[Route, ...]
