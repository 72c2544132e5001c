r"""Text of strangers made fit for a line of a log and for a terminal. Pure.

What ends a line, moves a cursor, changes a colour, turns the direction of writing or takes no room at all is shown as
an escape sequence of Python, such as `\n`, `\x1b` or `\u202e`. What is left are letters, marks and the space.
"""

CUT = "..."

NEWLINE = "\n"


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
    """JSON in ASCII (`ensure_ascii`) without the one control character that JSON leaves as it is, DEL: it reads as
    before.
    """
    return document.replace("\x7f", "\\u007f")


def _shown(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
