"""`server.limits`: what a client may ask of us, and what all of them together may take."""

from pydantic import Field

from canaryproxy.config.schema.section import (
    BodySize,
    BufferSize,
    Count,
    CountOrNone,
    FieldCount,
    HeadSize,
    Section,
    TargetSize,
)
from canaryproxy.model import settings

LIMITS = settings.Limits()


class LimitsConfig(Section):
    """What a client may ask of us before it is refused."""

    max_connections: Count = Field(
        default=LIMITS.max_connections,
        description="Client connections open at the same time, over all workers. For a further one the client that is "
        "idle for longest gives way, of the address that has most connections; where all have an exchange under way it "
        "is answered 503 and closed. Fewer where the limit of open files does not allow as many; a warning says how "
        "many then.",
        examples=["20000"],
    )
    connections_per_address: CountOrNone = Field(
        default=LIMITS.connections_per_address,
        description="Client connections of one address at the same time, over all workers, tunnels included. An IPv6 "
        "address counts as its /64. A further one is answered 429 and closed; over TLS it is closed. "
        "`trusted_proxies` carry many clients and have no such limit; with the PROXY protocol the client that they "
        "name is counted.",
        examples=["200"],
    )
    handshakes: Count = Field(
        default=LIMITS.handshakes,
        description="TLS handshakes under way at the same time, shared evenly by the workers, rounded up. For a client "
        "whose address has none under way, the handshake that has waited for longest gives way, of the address that "
        "has most of them; other clients wait. A connection that has not sent its whole hello, or that waits, counts "
        "for `max_connections` alone.",
        examples=["4000"],
    )
    header_bytes: HeadSize = Field(
        default=LIMITS.header_bytes,
        description="Size of a request's head, its first line and all fields. A larger one is answered 431.",
        examples=["32KiB"],
    )
    headers: FieldCount = Field(
        default=LIMITS.headers,
        description="Number of fields in a request's head. A request with more is answered 431.",
        examples=["60"],
    )
    uri_bytes: TargetSize = Field(
        default=LIMITS.uri_bytes,
        description="Length of the request target. A longer one is answered 414.",
        examples=["4KiB"],
    )
    body_bytes: BodySize = Field(
        default=LIMITS.body_bytes,
        description="Size of a request body; `none` or `off` means any. A larger one is answered 413.",
        examples=["10MiB"],
    )
    buffers: BufferSize = Field(
        default=LIMITS.buffers,
        description="Bytes that all buffers of all workers may hold: what waits to be taken by slow clients and "
        "endpoints, heads and bodies that are here in part, bodies kept for another attempt, copies for a mirror. From "
        "70 % of it on, buffers are kept smaller; beyond it, connections are cut that hold the most and move the "
        "least. `auto`: 60 % of what the memory limit of the container (or the machine) leaves beside "
        "`max_connections`, an eighth of it (16MiB to 64MiB) at least. See docs/operations.md, Sizing.",
        examples=["256MiB"],
    )
