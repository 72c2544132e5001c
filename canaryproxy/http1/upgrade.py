"""Changing the protocol of a connection (RFC 9110 7.8), for protocols that are allowed by name.

`h2c` in particular must never pass: it would carry requests past every rule and check (RFC 9113 3.1 has
dropped it). A handshake is a GET without a body, as WebSocket demands (RFC 6455 4.1).
"""

from collections.abc import Collection

from canaryproxy.model.fields import list_items
from canaryproxy.model.message import Body, RequestHead, ResponseHead


def asked(head: RequestHead, allowed: Collection[bytes]) -> bytes:
    """The first allowed protocol that a request offers to switch to, or nothing."""
    if head.method != b"GET" or not head.minor or head.length > 0 or head.body is Body.CHUNKED:
        return b""
    options = [value for name, value in head.special if name == b"connection"]
    if b"upgrade" not in list_items(b",".join(options).lower()):
        return b""
    return next((offer for offer in list_items(head.upgrade.lower()) if offer in allowed), b"")


def switched(head: ResponseHead, protocol: bytes) -> bool:
    """Whether a 101 switches to just the protocol that was asked for."""
    offers = [value.lower() for name, value in head.special if name == b"upgrade"]
    options = [value for name, value in head.special if name == b"connection"]
    return protocol != b"" and offers == [protocol] and b"upgrade" in list_items(b",".join(options).lower())
