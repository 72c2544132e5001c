"""The routing table: what the control plane publishes and the data plane decides with.

Immutable plain data. A change of weight, route or endpoint is a new table with the next generation;
an exchange finishes with the table it began with.
"""

from dataclasses import dataclass
from typing import Literal

WEIGHT_SCALE = 10_000
"""Weights are basis points: the canary's share in 1/10,000 of the requests."""

VersionName = Literal["stable", "canary"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One `host:port` of a version. Pools and in-flight counts are keyed by it."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as it stands in a Host field; an IPv6 address in brackets (RFC 3986 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Version:
    """One side of a canary: its endpoints and how patient we are with them. Times in seconds."""

    name: VersionName
    endpoints: tuple[Endpoint, ...]
    connect_timeout: float = 1.0
    response_timeout: float = 30.0
    keep_alive: float = 4.0

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ValueError(f"version {self.name!r} has no endpoint")


@dataclass(frozen=True, slots=True)
class Route:
    """A host + path entry that owns one stable and one canary version.

    `hosts` empty means any host; an entry is an exact name or `*.suffix`, lower case, no port, no
    trailing dot. `paths` are prefixes by whole segments. `weight` is in basis points.
    """

    name: str
    stable: Version
    canary: Version
    weight: int = 0
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    add_version: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= WEIGHT_SCALE:
            raise ValueError(f"weight {self.weight} of route {self.name!r} is not in 0..{WEIGHT_SCALE}")


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Every route, and the generation that a worker acknowledges. Generations only grow."""

    generation: int
    routes: tuple[Route, ...]
