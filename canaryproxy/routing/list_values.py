"""The items of a list-valued field (RFC 9110 5.6.1): the parts between commas outside of quoted strings.

Linear in the length of the value.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

# Text, quoted strings and commas. A single quote is the start of an unterminated string.
_pieces = re.compile(rb'[^",]+|"[^"\\]*(?:\\.[^"\\]*)*"|[,"]', re.DOTALL).finditer

_quoted = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL).fullmatch
_escaped = re.compile(rb"\\(.)", re.DOTALL).sub


class ListField(NamedTuple):
    """The lists of a header, cookie or parameter: parsed once per request for all rules."""

    subject: str
    name: bytes

    def matched(self, values: Sequence[bytes]) -> frozenset[bytes]:
        """The items of all values."""
        quoted = [value for value in values if b'"' in value]
        plain = b",".join(values if not quoted else [value for value in values if b'"' not in value])
        return frozenset(items(plain)).union(*map(items, quoted))


def items(value: bytes) -> set[bytes]:
    """All non-empty items without surrounding white space; a quoted string also without its quotes."""
    parts, _ = split(value)
    found = {part.strip(b" \t") for part in parts} - {b""}
    inside = [match[1] for item in found if item[:1] == b'"' and (match := _quoted(item)) is not None]
    return found.union([_escaped(rb"\1", text) for text in inside])


def split(value: bytes) -> tuple[list[bytes], bool]:
    """The parts between commas outside of quotes, and whether all quotes are closed. An unclosed quote, and quotes
    behind it, are ordinary bytes, so that they cannot hide items.
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
