"""Settings of the data plane that need a restart: limits, timeouts, whom to trust. Times in seconds."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from canaryproxy.model.forwarded import Forwarding

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of exposed histograms in seconds: the default of OpenTelemetry."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes. `headers` counts fields; `body_bytes` None means any size, `connections_per_address` None any
    number. `buffers` is what those of one worker may hold, None for anything.
    """

    max_connections: int = 10_000
    header_bytes: int = 65_536
    headers: int = 100
    uri_bytes: int = 8_192
    body_bytes: int | None = None
    connections_per_address: int | None = None
    handshakes: int = 1_000
    buffers: int | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait: for a request head, between requests, between body bytes, after a client's FIN, for
    open exchanges when draining, for a byte on a tunnel, and for what is open to the canary when it is aborted
    (None: until it ends by itself).
    """

    header: float = 10.0
    keep_alive: float = 60.0
    body_idle: float = 30.0
    half_close: float = 5.0
    drain: float = 30.0
    tunnel_idle: float = 3600.0
    abort_drain: float | None = None


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """The settings of the data plane, sent once at start."""

    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    trusted_proxies: tuple[Network, ...] = ()
    forwarding: Forwarding = field(default_factory=Forwarding)
