"""The path as it is matched. What is forwarded is always the target as received, byte for byte.

Servers take differently spelled paths for the same resource, so a prefix is compared with one spelling
(RFC 3986 6.2.2). The policy:
- percent-encoded unreserved characters are decoded, once: `%61` is `a`, but `%2561` stays `%2561`, which is
  what the endpoint gets to see;
- all other encodings stay, in upper case. `%2F` and `%5C` are part of a segment, never a separator, and a
  raw backslash is an ordinary character;
- a `%` that begins no encoding stands for itself and is matched as `%25`;
- empty segments are dropped: `//` is `/`;
- then `.` and `..` are resolved (RFC 3986 5.2.4), encoded ones too since they are unreserved; `..` never
  leads above the root. A segment like `..;x` is an ordinary one.

Whether a path ends in a slash is kept. Normalising twice changes nothing more.
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
    """The spelling of an absolute path (or `*`) that prefixes are compared with."""
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
