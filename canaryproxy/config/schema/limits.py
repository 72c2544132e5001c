"""The sections `server.limits` and `server.timeouts`: limits for clients, and how long the server waits for them."""

from pydantic import Field

from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.model import settings

LIMITS, TIMEOUTS = settings.Limits(), settings.Timeouts()


class LimitsConfig(Section):
    """Limits for clients: for a single request or connection, and for all together."""

    max_connections: leaves.Count = Field(
        default=LIMITS.max_connections,
        description="Open client connections of all workers. At the limit, a new connection replaces the longest "
        "idle connection of the address with the most connections; if none is idle, it is answered 503 and closed. "
        "The limit is lower if the limit of open files does not allow as many; a warning states the number.",
        examples=["20000"],
    )
    connections_per_address: leaves.CountOrNone = Field(
        default=LIMITS.connections_per_address,
        description="Open client connections of one address, tunnels included, over all workers. An IPv6 address "
        "counts as its /64. A connection beyond the limit is answered 429 and closed; over TLS it is closed. "
        "`trusted_proxies` have no such limit, since they carry many clients; with the PROXY protocol the address of "
        "the client counts.",
        examples=["200"],
    )
    handshakes: leaves.Count = Field(
        default=LIMITS.handshakes,
        description="Concurrent TLS handshakes, divided evenly among the workers and rounded up. At the limit, a "
        "client whose address has no handshake in progress replaces the oldest handshake of the address with the "
        "most handshakes; other clients wait. A connection that waits, or has not sent its complete ClientHello, "
        "counts only against `max_connections`.",
        examples=["4000"],
    )
    header_bytes: leaves.HeadSize = Field(
        default=LIMITS.header_bytes,
        description="Size of the head of a request: request line and all header fields. A larger one is answered 431.",
        examples=["32KiB"],
    )
    headers: leaves.FieldCount = Field(
        default=LIMITS.headers,
        description="Number of header fields of a request. A request with more is answered 431.",
        examples=["60"],
    )
    uri_bytes: leaves.TargetSize = Field(
        default=LIMITS.uri_bytes,
        description="Length of the request target. A longer one is answered 414.",
        examples=["4KiB"],
    )
    body_bytes: leaves.BodySize = Field(
        default=LIMITS.body_bytes,
        description="Size of a request body; `none` or `off` for no limit. A larger one is answered 413.",
        examples=["10MiB"],
    )
    buffers: leaves.BufferSize = Field(
        default=LIMITS.buffers,
        description="Bytes in all buffers of all workers: data for slow clients and endpoints, incomplete heads and "
        "bodies, bodies kept for another attempt, copies for a mirror. From 70 % of the limit on, buffers are kept "
        "smaller. Beyond it, the connections that hold the most and progress the least are closed. `auto`: 60 % of "
        "the memory limit of the container (or of the memory of the machine), less the memory for `max_connections`; "
        "at least an eighth of it, from 16MiB to 64MiB. See docs/operations.md, Sizing.",
        examples=["256MiB"],
    )


class TimeoutsConfig(Section):
    """How long the server waits for clients. A timeout is never early, and at most half a second late."""

    header: leaves.ShortDuration = Field(
        default=TIMEOUTS.header,
        description="From the beginning of a connection or request to its complete head. After it the request is "
        "answered 408.",
        examples=["5s"],
    )
    keep_alive: leaves.Duration = Field(
        default=TIMEOUTS.keep_alive,
        description="How long an idle client connection is kept open for its next request.",
        examples=["75s"],
    )
    body_idle: leaves.Duration = Field(
        default=TIMEOUTS.body_idle,
        description="Longest pause of a client that sends a request body or receives a response.",
        examples=["10s"],
    )
    half_close: leaves.LongDuration = Field(
        default=TIMEOUTS.half_close,
        description="How long a response is still delivered after the client has closed its sending side. With 0 the "
        "connection is closed at once.",
        examples=["2s"],
    )
    drain: leaves.LongDuration = Field(
        default=TIMEOUTS.drain,
        description="On shutdown, how long open requests may take to finish. With 0 they are cut off at once.",
        examples=["25s"],
    )
    tunnel_idle: leaves.Duration = Field(
        default=TIMEOUTS.tunnel_idle,
        description="How long a tunnel (WebSocket) may be idle in both directions before it is closed.",
        examples=["10m"],
    )
    abort_drain: leaves.LongDurationOrNever = Field(
        default=TIMEOUTS.abort_drain,
        description="After an abort, how long open tunnels and responses of the canary may continue before they are "
        "cut off. Requests without a response are then sent to stable, if they can be repeated.",
        examples=["30s"],
    )
