"""The items of a list-valued field (RFC 9110 5.6.1): what stands between commas that are in no quoted string.

Linear in the length of the value, whatever a client writes.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_pieces = re.compile(rb'[^",]+|"[^"\\]*(?:\\.[^"\\]*)*"|[,"]', re.DOTALL).finditer
"""Text, quoted strings and commas. A quote alone begins a string that does not end."""

_quoted = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL).fullmatch
_escaped = re.compile(rb"\\(.)", re.DOTALL).sub


class ListField(NamedTuple):
    """The lists of a header, cookie or parameter: taken apart once for a request, however many rules ask."""

    subject: str
    name: bytes

    def matched(self, values: Sequence[bytes]) -> frozenset[bytes]:
        """The items of all of them."""
        quoted = [value for value in values if b'"' in value]
        plain = b",".join(values if not quoted else [value for value in values if b'"' not in value])
        return frozenset(items(plain)).union(*map(items, quoted))


def items(value: bytes) -> set[bytes]:
    """All items without white space around them, each as it stands; a quoted string also without its quotes. Empty ones
    do not count.
    """
    parts, _ = split(value)
    found = {part.strip(b" \t") for part in parts} - {b""}
    inside = [match[1] for item in found if item[:1] == b'"' and (match := _quoted(item)) is not None]
    return found.union([_escaped(rb"\1", text) for text in inside])


def split(value: bytes) -> tuple[list[bytes], bool]:
    """The parts between commas outside of quotes, and whether all quotes are closed. One that is not is a byte like any
    other, and so are those behind it: nothing is hidden by it.
    """
    if b'"' not in value:
        return value.split(b","), True
    parts: list[bytes] = []
    begin = at = 0
    for found in _pieces(value):
        piece = found[0]
        if piece == b",":
            parts.append(value[begin:at])
            begin = at + 1
        elif piece == b'"':
            head, *rest = value[at:].split(b",")
            return [*parts, value[begin:at] + head, *rest], False
        at += len(piece)
    return [*parts, value[begin:]], True
