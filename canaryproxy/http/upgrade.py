"""Protocol upgrades of a connection (RFC 9110 7.8), restricted to protocols allowed by name.

`h2c` must never be forwarded: it would carry requests past every rule and check (RFC 9113 3.1 has dropped it). HTTP/1.1
requests of any method may ask for an upgrade. Protocols are compared case-insensitively; an allowed name without a
version allows all its versions.
"""

import re
from collections.abc import Collection

from canaryproxy.http.h1.grammar import TCHAR
from canaryproxy.model.fields import list_items
from canaryproxy.model.head import RequestHead, ResponseHead

_protocol = re.compile(rb"(%b+)(?:/%b+)?" % (TCHAR, TCHAR)).fullmatch


def requested_protocols(head: RequestHead, allowed: Collection[bytes]) -> bytes:
    """The protocols in Upgrade that are `allowed` (lower case), in the request's spelling and order; or empty."""
    if head.version == 10 or not _connection_names_upgrade(head):
        return b""
    return b", ".join([offer for offer in list_items(head.upgrade) if _allows(allowed, offer.lower())])


def accepted_protocol(head: ResponseHead, offered: bytes) -> bool:
    """Whether a 101 switches only to offered protocols."""
    chosen = [item for name, value in head.special if name == b"upgrade" for item in list_items(value.lower())]
    offers = set(list_items(offered.lower())) if offered else set()
    return chosen != [] and _connection_names_upgrade(head) and all(one in offers for one in chosen)


def _connection_names_upgrade(head: RequestHead | ResponseHead) -> bool:
    options = [value for name, value in head.special if name == b"connection"]
    return b"upgrade" in list_items(b",".join(options).lower())


def _allows(allowed: Collection[bytes], offer: bytes) -> bool:
    if offer not in allowed and offer.partition(b"/")[0] not in allowed:
        return False
    protocol = _protocol(offer)
    return protocol is not None and (offer in allowed or protocol[1] in allowed)
