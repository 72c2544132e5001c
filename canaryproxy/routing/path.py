"""Normalises paths for matching. The target is always forwarded as received, byte for byte.

Servers accept different spellings of a path for the same resource, so prefixes are compared with a normal form
(RFC 3986 6.2.2):
- percent-encoded unreserved characters are decoded once: `%61` is `a`, but `%2561` stays `%2561`, as the endpoint
  receives it;
- all other encodings stay, in upper case. `%2F` and `%5C` are part of a segment, never a separator, and a raw backslash
  is an ordinary character;
- a `%` that begins no encoding is matched as `%25`;
- empty segments are dropped: `//` is `/`;
- then `.` and `..` are resolved (RFC 3986 5.2.4), also encoded ones; `..` never leads above the root. A segment such as
  `..;x` is ordinary.

A final slash is kept. Normalisation is idempotent.
"""

from canaryproxy.routing.field_scan import is_normal

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_HEX = "0123456789abcdefABCDEF"


def _meaning(digits: str) -> bytes:
    octet = bytes.fromhex(digits)
    return octet if octet in UNRESERVED else b"%" + digits.upper().encode()


_MEANINGS = {(high + low).encode(): _meaning(high + low) for high in _HEX for low in _HEX}
_DOTS = (b".", b"..")


def normalise(path: bytes) -> bytes:
    """The normal form of an absolute path (or `*`)."""
    if is_normal(path):
        return path
    if path.find(b"%") >= 0:
        path = _decode(path)
    if path.find(b"//") >= 0 or path.find(b"/.") >= 0:
        path = _resolve(path)
    return path


def _decode(path: bytes) -> bytes:
    plain, *encoded = path.split(b"%")
    out = [plain]
    for part in encoded:
        meaning = _MEANINGS.get(part[:2])
        out.append(b"%25" + part if meaning is None else meaning + part[2:])
    return b"".join(out)


def _resolve(path: bytes) -> bytes:
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment and segment != b".":
            kept.append(segment)
    if kept and (not segments[-1] or segments[-1] in _DOTS):
        kept.append(b"")
    return b"/" + b"/".join(kept)
