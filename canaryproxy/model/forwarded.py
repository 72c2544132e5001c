"""Forwarding fields: the family that trusted proxies write, and the grammar of RFC 7239.

Only one family is trusted and continued; fields of the other one are dropped. Many balancers write one family and pass
a client's fields of the other through: reading both would let clients forge scheme and address.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from canaryproxy.model.fields import FROM_TRUSTED, is_x_forwarded

Address = IPv4Address | IPv6Address
Family = Literal["x-forwarded", "rfc7239"]
# One hop of `Forwarded`: values without quotes by parameter in lower case.
Element = dict[bytes, bytes]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_pair = re.compile(rb"(%b)=(?:(%b)|\"([^\"\\]*(?:\\.[^\"\\]*)*)\")" % (_TOKEN, _TOKEN), re.DOTALL).match
_separator = re.compile(rb"[ \t]*([;,])[ \t]*|[ \t]*\Z").match
_node = re.compile(rb"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?").fullmatch
_escaped = re.compile(rb"\\(.)", re.DOTALL).sub
_scheme = re.compile(rb"[a-z][a-z0-9+.-]{0,15}").fullmatch

# Limit on hops read, nearest first: a client may have sent thousands before those of trusted proxies.
MAX_HOPS = 100

# Limit on commas, semicolons and backslashes in the `Forwarded` fields, which bounds the parsing time.
MAX_MARKS = 4 * MAX_HOPS

# Schemes of an encrypted connection: some balancers write `wss` for a WebSocket.
SECURE = (b"https", b"wss")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """`family` is the one that trusted proxies write; `allowed` are X-Forwarded-* names accepted from anyone."""

    family: Family = "x-forwarded"
    allowed: tuple[str, ...] = ()

    @property
    def standard(self) -> bool:
        """Whether `Forwarded` is read and written."""
        return self.family == "rfc7239"

    def passes(self, name: bytes, *, trusted: bool) -> bool:
        """Whether a special field, by its lower-case name, is trusted and forwarded. `trusted`: the peer is trusted."""
        if name not in FROM_TRUSTED and not is_x_forwarded(name):
            return True
        if name.decode("ascii") in self.allowed:
            return True
        if not trusted or name == b"x-canary-mirror":
            return trusted
        return (name == b"forwarded") is self.standard


def elements(line: bytes) -> list[Element] | None:
    """The hops of one `Forwarded` field in order; None for a malformed field (RFC 7239 4)."""
    found: list[Element] = []
    element: Element = {}
    at = 0
    while True:
        pair = _pair(line, at)
        if pair is not None:
            name = pair[1].lower()
            if name in element:
                return None
            element[name] = pair[2] if pair[2] is not None else _escaped(rb"\1", pair[3])
            at = pair.end()
        separator = _separator(line, at)
        if separator is None:
            return None
        at = separator.end()
        if separator[1] == b";":
            continue
        if element:
            found.append(element)
        element = {}
        if separator[1] is None:
            return found


def near(lines: Sequence[bytes]) -> list[bytes]:
    """The last fields with at most `MAX_MARKS` marks together; earlier fields are treated as malformed."""
    kept: list[bytes] = []
    room = MAX_MARKS
    for line in reversed(lines):
        room -= 1 + line.count(b",") + line.count(b";") + line.count(b"\\")
        if room < 0:
            break
        kept.append(line)
    kept.reverse()
    return kept


def hops_of(lines: Sequence[bytes]) -> list[Element]:
    """The hops of several fields in order, without those of a malformed field and of all fields before it."""
    found: list[Element] = []
    for line in near(lines):
        some = elements(line)
        if some is None:
            found.clear()
        else:
            found += some
    return found


def sound(lines: Sequence[bytes]) -> list[bytes]:
    """The fields to forward: those after the last malformed one, without empty ones."""
    kept: list[bytes] = []
    for line in near(lines):
        some = elements(line)
        if some is None:
            kept = []
        elif some:
            kept.append(line)
    return kept


def node_address(node: bytes) -> bytes | None:
    """The address in a node (RFC 7239 6), without brackets and port; None for other nodes."""
    match = _node(node)
    return None if match is None else match[1] or match[2]


def scheme_of(element: Element) -> bytes | None:
    """The scheme of a hop; None if it is missing or invalid."""
    scheme = element.get(b"proto", b"").lower()
    return scheme if _scheme(scheme) else None
