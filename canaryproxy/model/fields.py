"""Field names that mean something to a proxy (RFC 9110 7.6, RFC 7239, RFC 7230 legacy). Lower case."""

import re

FORWARDING = (
    b"forwarded", b"via", b"x-canary-mirror", b"x-canary-rescue", b"x-canary-version", b"x-forwarded-for",
    b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto", b"x-forwarded-server",
    b"x-forwarded-ssl", b"x-real-ip", b"x-request-id",
)  # fmt: skip
"""Fields that say where a request has been; proxies write them."""

HOP_BY_HOP = (
    b"connection", b"http2-settings", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
)  # fmt: skip
"""Fields of one connection: never passed on as they came."""

FROM_TRUSTED = frozenset((
    b"x-canary-mirror", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
    b"x-forwarded-prefix",
    b"x-forwarded-server", b"x-forwarded-ssl", b"x-real-ip", b"forwarded",
))  # fmt: skip
"""Passed on only from a trusted proxy."""

PROTECTED = frozenset((
    *FORWARDING, *HOP_BY_HOP, b"authorization", b"content-length", b"cookie", b"expect", b"host", b"max-forwards",
    b"", b"close",
))  # fmt: skip
"""Connection options that never remove a field (RFC 9110 7.6.1), ours among them."""

UNMATCHED = frozenset((*HOP_BY_HOP, b"x-canary-rescue", b"x-canary-version", b"via"))
"""Fields that no rule can look at: what a client writes there never reaches a version."""

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that change nothing (RFC 9110 9.2.1); TRACE is not served."""

list_items = re.compile(rb"[ \t]*,[ \t]*").split
"""The items of a comma-separated field value (RFC 9110 5.6.1)."""


def named_by(connection: list[bytes]) -> set[bytes]:
    """Names of ordinary fields that values of Connection take out of the message (RFC 9110 7.6.1)."""
    return {option for value in connection for option in list_items(value.lower())} - PROTECTED
