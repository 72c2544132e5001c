r"""Text of strangers made fit for a line of a log and for a terminal. Pure.

What ends a line, moves a cursor, changes a colour, turns the direction of writing or takes no room at all is shown as
an escape sequence of Python, such as `\n`, `\x1b` or `\u202e`. What is left are letters, marks and the space.
"""

import json
import re

CUT = "..."

NEWLINE = "\n"

LAST_OF_PLANE = 0xFFFF
"""JSON writes what lies beyond as two (RFC 8259, 7)."""

_BEYOND = re.compile("[^\x00-\x7e]")
"""What JSON does not escape by itself, perhaps."""


def escaped(text: str, most: int | None = None) -> str:
    """One line without control, format, surrogate and private characters and without any space but the plain one, of
    at most `most` characters and the sign that something is left out.
    """
    if most is not None and len(text) > most:
        text = text[:most] + CUT
    shown = text if text.isprintable() else "".join(map(_shown, text))
    return shown if most is None or len(shown) <= most + len(CUT) else shown[:most] + CUT


def escaped_lines(text: str) -> str:
    """Lines that stay lines, each as `escaped`."""
    return text if text.isprintable() else NEWLINE.join(map(escaped, text.split(NEWLINE)))


def escaped_json(document: str) -> str:
    """JSON without the characters that JSON allows and a terminal would follow: it reads as before."""
    return document if document.isascii() and "\x7f" not in document else _BEYOND.sub(_in_json, document)


def _in_json(found: re.Match[str]) -> str:
    one = found[0]
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) <= LAST_OF_PLANE else json.dumps(one)[1:-1]


def _shown(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
