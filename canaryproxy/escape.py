r"""Escapes untrusted text for a line of a log and for a terminal. Pure.

Characters that end a line, move the cursor, change colours, reverse the direction of writing or have no width become
Python escape sequences such as `\n`, `\x1b` or `\u202e`.
"""

import json
import re

CUT = "..."

NEWLINE = "\n"

# JSON escapes characters beyond as surrogate pairs (RFC 8259, 7).
LAST_OF_PLANE = 0xFFFF

# Characters that JSON may not escape by itself.
_BEYOND = re.compile("[^\x00-\x7e]")


def escaped(text: str, most: int | None = None) -> str:
    """One line without control, format, surrogate and private characters and without other spaces than U+0020, of at
    most `most` characters; `...` marks omitted text.
    """
    if most is not None and len(text) > most:
        text = text[:most] + CUT
    shown = text if text.isprintable() else "".join(map(_shown, text))
    return shown if most is None or len(shown) <= most + len(CUT) else shown[:most] + CUT


def escaped_lines(text: str) -> str:
    """Several lines, each as `escaped`."""
    return text if text.isprintable() else NEWLINE.join(map(escaped, text.split(NEWLINE)))


def escaped_json(document: str) -> str:
    """Equivalent JSON, with all characters escaped that a terminal could interpret."""
    return document if document.isascii() and "\x7f" not in document else _BEYOND.sub(_in_json, document)


def _in_json(found: re.Match[str]) -> str:
    one = found[0]
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) <= LAST_OF_PLANE else json.dumps(one)[1:-1]


def _shown(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
