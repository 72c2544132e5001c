"""The host as it is matched: one spelling for all that a Host field may say about the same name.

A host is compared in lower case, without its port and without one trailing dot (RFC 9110 4.2.3, RFC 3986
6.2.2.1); an IPv6 address in brackets in its canonical form (RFC 5952).
"""

import contextlib
import ipaddress


def host_name(authority: bytes) -> bytes:
    """The name or bracketed address in `host [":" port]`, as it is matched."""
    if authority[:1] == b"[":
        return _literal(authority.partition(b"]")[0][1:])
    return authority.partition(b":")[0].lower().removesuffix(b".")


def _literal(address: bytes) -> bytes:
    text = address.decode("latin-1").lower()
    with contextlib.suppress(ValueError):  # no address at all is compared as it stands: it meets no configured one
        text = str(ipaddress.IPv6Address(text))
    return f"[{text}]".encode("latin-1")
