"""Parsed message heads, independent of the protocol version: bytes as received, with the framing determined.

Built by `http`, read by `routing` and `dataplane`. Field names are compared in lower case; `plain` holds the lines of
ordinary fields exactly as received (validated, each with its CRLF), in order.
"""

from collections.abc import Sequence
from enum import IntEnum


class Body(IntEnum):
    """How the end of a body is found (RFC 9112 6.3). A STREAM ends itself: it is chunked in HTTP/1.1."""

    NONE = 0
    LENGTH = 1
    STREAM = 2
    UNTIL_CLOSE = 3


NO_BODY = Body.NONE


def protocol(version: int) -> str:
    """The name of a version of HTTP: 10, 11 or 20."""
    return f"HTTP/{version // 10}.{version % 10}"


def split_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a block of lines as (lower-case name, value without outer white space)."""
    lines = [line.partition(b":") for line in block.split(b"\r\n")[:-1]]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in lines]


class RequestHead:
    """A request line and its fields, strictly validated.

    `version` is that of the protocol: 10, 11 or 20 (HTTP/2). `target` is forwarded byte for byte: origin-form or `*`.
    `host` is the effective authority: that of an absolute-form target, else the Host field, else None (HTTP/1.0 only).
    `special` lists the fields that mean something to a proxy as (lower-case name, value) in order, without a Host that
    came first. `length` is the Content-Length or -1. `close`: the client wants the connection closed after this
    exchange. `upgrade` is the value of Upgrade or empty. `encoded`: the target contains a `%`. `end` is the offset of
    the first byte after the head.
    """

    def __init__(self, method: bytes = b"", target: bytes = b"", version: int = 11) -> None:
        self.method = method
        self.target = target
        self.encoded = b"%" in target
        self.version = version
        self.host: bytes | None = None
        self.plain = b""
        self.special: Sequence[tuple[bytes, bytes]] = ()
        self.body = NO_BODY
        self.length = -1
        self.close = version == 10
        self.upgrade = b""
        self.end = 0

    def fields(self) -> list[tuple[bytes, bytes]]:
        """All fields as (lower-case name, value without outer white space); Host first, then plain ones."""
        host = [] if self.host is None else [(b"host", self.host)]
        return host + [field for field in (*split_fields(self.plain), *self.special) if field[0] != b"host"]

    def __repr__(self) -> str:
        asked = f"{self.method!r} {self.target!r} {protocol(self.version)}"
        return f"<RequestHead {asked} host={self.host!r} {self.body.name}>"


class ResponseHead:
    """A status line and its fields; `special` holds those that rewriting needs.

    `length` is the Content-Length or -1; a response to HEAD and a 304 may have one although they have no body. `close`:
    the connection cannot be reused. `end` is the offset of the first byte after the head.
    """

    def __init__(self, status: int = 0, reason: bytes = b"", version: int = 11) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.plain = b""
        self.special: Sequence[tuple[bytes, bytes]] = ()
        self.body = NO_BODY
        self.length = -1
        self.close = version == 10
        self.end = 0

    def fields(self) -> list[tuple[bytes, bytes]]:
        """All fields as (lower-case name, value without outer white space); plain ones first."""
        return [*split_fields(self.plain), *self.special]

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} {protocol(self.version)} {self.body.name}>"
