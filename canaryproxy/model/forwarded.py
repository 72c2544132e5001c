"""Who says where a request has been: the family of forwarding fields that trusted proxies write, and RFC 7239.

Only one family is believed and continued, whatever came in of the other one ends here. Many balancers write one family
and pass a client's fields of the other one through: to read both lets strangers choose scheme and address.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from canaryproxy.model.fields import FROM_TRUSTED, is_x_forwarded

Address = IPv4Address | IPv6Address
Family = Literal["x-forwarded", "rfc7239"]
Element = dict[bytes, bytes]
"""One hop of `Forwarded`: values without quotes by parameter in lower case."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_pair = re.compile(rb"(%b)=(?:(%b)|\"([^\"\\]*(?:\\.[^\"\\]*)*)\")" % (_TOKEN, _TOKEN), re.DOTALL).match
_separator = re.compile(rb"[ \t]*([;,])[ \t]*|[ \t]*\Z").match
_node = re.compile(rb"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?").fullmatch
_escaped = re.compile(rb"\\(.)", re.DOTALL).sub
_scheme = re.compile(rb"[a-z][a-z0-9+.-]{0,15}").fullmatch

MAX_HOPS = 100
"""Hops that are read, the nearest ones: a client may have put thousands in front of what the trusted proxies say."""

MAX_MARKS = 4 * MAX_HOPS
"""Commas, semicolons and backslashes in the `Forwarded` fields that are read."""

SECURE = (b"https", b"wss")
"""Schemes of an encrypted connection: some balancers write `wss` for a WebSocket."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """`family` is what the trusted proxies write; `allowed` are X-Forwarded-* fields, in lower case, that pass from
    anyone.
    """

    family: Family = "x-forwarded"
    allowed: tuple[str, ...] = ()

    @property
    def standard(self) -> bool:
        """Whether it is `Forwarded` that is read and written."""
        return self.family == "rfc7239"

    def passes(self, name: bytes, *, trusted: bool) -> bool:
        """Whether a special field, by its lower-case name, may be believed and passed on. `trusted`: the peer is."""
        if name not in FROM_TRUSTED and not is_x_forwarded(name):
            return True
        if name.decode("ascii") in self.allowed:
            return True
        if not trusted or name == b"x-canary-mirror":
            return trusted
        return (name == b"forwarded") is self.standard


def elements(line: bytes) -> list[Element] | None:
    """The hops that one `Forwarded` field names, in their order; None where it breaks the grammar (RFC 7239 4), so
    that nothing in it means anything.
    """
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
    """The last fields, as many as have no more than `MAX_MARKS` together. One beyond that, and all before it, are like
    malformed ones.
    """
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
    """The hops that several fields name, in their order. A malformed field, and all before it, name none."""
    found: list[Element] = []
    for line in near(lines):
        some = elements(line)
        if some is None:
            found.clear()
        else:
            found += some
    return found


def sound(lines: Sequence[bytes]) -> list[bytes]:
    """The fields that may go on: those behind the last malformed one, and none that are empty."""
    kept: list[bytes] = []
    for line in near(lines):
        some = elements(line)
        if some is None:
            kept = []
        elif some:
            kept.append(line)
    return kept


def node_address(node: bytes) -> bytes | None:
    """What stands for the address in a node (RFC 7239 6), without brackets and port; None for `unknown`, for a name
    that hides it, and for what is no node.
    """
    match = _node(node)
    return None if match is None else match[1] or match[2]


def scheme_of(element: Element) -> bytes | None:
    """The scheme that a hop was reached by; None where it does not say or it is none."""
    scheme = element.get(b"proto", b"").lower()
    return scheme if _scheme(scheme) else None
