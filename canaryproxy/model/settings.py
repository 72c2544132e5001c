"""Settings of the data plane that need a restart: limits, timeouts, trusted proxies. Times in seconds."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from canaryproxy.model.forwarded import Forwarding

# Upper bounds of exposed histograms in seconds: the default of OpenTelemetry.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes; None means no limit. `headers` counts fields; `buffers` limits the buffers of one worker."""

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
    """Timeouts: for a request head, between requests, between body bytes, after a client's FIN, for open exchanges
    while draining, between bytes on a tunnel, and for exchanges with an aborted canary (None: no limit).
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
