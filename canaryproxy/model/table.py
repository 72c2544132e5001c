"""The routing table, published by the control plane and used for decisions by the data plane.

Immutable plain data. A changed weight, route, rule or endpoint is a new table with the next generation; an exchange
finishes with the table it began with.
"""

from dataclasses import dataclass, field
from typing import Literal

from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule

# Weights are basis points: the canary's share in 1/10,000 of the requests.
FULL_WEIGHT = 10_000

VersionName = Literal["stable", "canary"]

SameSite = Literal["Lax", "Strict", "None"]

# Protocols that a connection may be upgraded to unless a route says otherwise.
UPGRADES = ("websocket",)


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
        """`host:port` to connect to; an IPv6 address in brackets (RFC 3986 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def site(self) -> str:
        """`host:port` for a Host field: with the name, if there is one."""
        return f"{self.name}:{self.port}" if self.name else self.authority


@dataclass(frozen=True, slots=True)
class Version:
    """Stable or canary: its usable endpoints, empty while none is known or healthy, and timeouts in seconds.
    `max_in_flight` limits the exchanges open at one time; None means no limit.
    """

    name: VersionName
    endpoints: tuple[Endpoint, ...]
    connect_timeout: float = 1.0
    response_timeout: float = 30.0
    keep_alive: float = 4.0
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class Affinity:
    """The source of a client's key: a cookie with a random id, a header's value, or the address.

    `name` is that of the cookie or, in lower case, of the header. `max_age` is the cookie's lifetime in seconds, None
    for the browser's session; an empty `domain` restricts it to the host; `secure` sets Secure also without https.
    `salt` seeds the buckets; empty means the route's name.
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
    """Fields on responses that a shared cache may store: `cookie` adds the affinity cookie, `vary_cookie` adds Cookie
    to Vary.
    """

    cookie: bool = False
    vary_cookie: bool = False


@dataclass(frozen=True, slots=True)
class Shield:
    """Stable answers for a failed canary attempt. `timeout` is the canary's time until its response begins, in seconds;
    `budget` the share of the canary's requests that may be retried, in basis points.
    """

    timeout: float = 2.0
    budget: int = 2_000


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies of stable's requests for the canary: share in basis points, methods, largest body in bytes."""

    percent: int
    methods: tuple[str, ...] = ("GET", "HEAD")
    max_body: int = 65_536


@dataclass(frozen=True, slots=True)
class Route:
    """Hosts and paths with a stable version and perhaps a canary; without a canary the weight is 0.

    Empty `hosts` means any host; an entry is an exact name or `*.suffix`, lower case, no port, no trailing dot. `paths`
    are prefixes by whole segments. `weight` is in basis points. `aborted`: the canary is off, regardless of weight and
    rules. `fallback` names the versions for which the other one may answer. `salt` seeds the buckets of clients; empty
    means the route's name. Requests that meet one of `excluded` are not analysed.
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
        """Stable, and the canary if there is one."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= FULL_WEIGHT:
            raise ValueError(f"weight {self.weight} of route {self.name!r} is not in 0..{FULL_WEIGHT}")
        if self.canary is None and (self.weight or any(rule.reaches_canary for rule in self.rules)):
            raise ValueError(f"route {self.name!r} has no canary, and something reaches it")


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Every route, and the generation that a worker acknowledges. Generations only increase."""

    generation: int
    routes: tuple[Route, ...]
