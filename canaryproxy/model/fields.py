"""Field names that mean something to a proxy (RFC 9110 7.6, RFC 7239, RFC 7230 legacy). Lower case."""

# Fields about the path of a request, written by proxies.
FORWARDING = (
    b"forwarded", b"via", b"x-canary-mirror", b"x-canary-rescue", b"x-canary-version", b"x-forwarded-for",
    b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto", b"x-forwarded-server",
    b"x-forwarded-ssl", b"x-real-ip", b"x-request-id",
)  # fmt: skip

# Prefix of the older family of forwarding fields: some proxies write more of them than are listed here.
X_FORWARDED = b"x-forwarded"

# Fields of one connection: never forwarded unchanged.
HOP_BY_HOP = (
    b"connection", b"http2-settings", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
)  # fmt: skip

# Fields of requests that mean something to a proxy, beside all whose names begin with `x-forwarded`.
REQUEST_SPECIAL = (*FORWARDING, *HOP_BY_HOP, b"content-length", b"expect", b"host", b"max-forwards")

# Fields of responses that mean something to a proxy.
RESPONSE_SPECIAL = (
    b"connection", b"content-length", b"keep-alive", b"proxy-authenticate", b"proxy-authentication-info",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"via", b"x-canary-rescue",
    b"x-canary-version", b"x-request-id",
)  # fmt: skip

# Fields forwarded only if a trusted proxy sent them.
FROM_TRUSTED = frozenset((
    b"x-canary-mirror", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
    b"x-forwarded-prefix",
    b"x-forwarded-server", b"x-forwarded-ssl", b"x-real-ip", b"forwarded",
))  # fmt: skip

# Connection options that never remove a field (RFC 9110 7.6.1). Fields for caches are among them: every cache on the
# way needs them, and a response made private must stay so.
PROTECTED = frozenset((
    *FORWARDING, *HOP_BY_HOP, b"authorization", b"cache-control", b"content-length", b"cookie", b"expect", b"expires",
    b"host", b"max-forwards", b"set-cookie", b"vary", b"", b"close",
))  # fmt: skip

# Fields that no rule can match: a client's value never reaches a version.
UNMATCHED = frozenset((*HOP_BY_HOP, b"x-canary-rescue", b"x-canary-version", b"via"))

# Methods that change nothing (RFC 9110 9.2.1); TRACE is not served.
SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


def list_items(value: bytes) -> list[bytes]:
    """The items of a comma-separated field value, without white space around them (RFC 9110 5.6.1)."""
    # Not a pattern with white space on both sides of the comma: that is quadratic in a long run of spaces.
    return [item.strip(b" \t") for item in value.split(b",")]


def is_x_forwarded(name: bytes) -> bool:
    """Whether a lower-case name is `x-forwarded` or `x-forwarded-` and more."""
    return name.startswith(X_FORWARDED) and name[len(X_FORWARDED) :][:1] in {b"", b"-"}


def named_by(connection: list[bytes]) -> set[bytes]:
    """Names of ordinary fields that values of Connection remove from the message (RFC 9110 7.6.1)."""
    named = {item.strip(b" \t") for item in set(b",".join(connection).lower().split(b","))} - PROTECTED
    return {name for name in named if not is_x_forwarded(name)}
