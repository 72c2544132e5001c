"""Words for text that is not YAML: what stands there and what to do, whichever parser stumbled.

Pure. The library's C parser and its Python twin word the same error differently, and both in terms of
tokens; so the message is chosen from the place, the line's own text and a few stable fragments.
"""

import re
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError, Position

_TAB_INDENT = re.compile(r" *\t")


class _Slip(NamedTuple):
    """A slip known by the parser's words. `since`: point to where the construct began."""

    words: str
    since: bool
    found: str
    hint: str


_SLIPS = (
    _Slip("end of stream", True, "a quoted text that is never closed", "add the closing quote"),
    _Slip(
        "unknown escape",
        True,
        "an unknown \\ escape in double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
    _Slip("scanning an alias", True, "a value that begins with *", "put the value in quotes"),
    _Slip("scanning an anchor", True, "a value that begins with &", "put the value in quotes"),
    _Slip("expected ':'", True, "a line without a colon and a space", "write `key: value`"),
    _Slip("cannot start any token", False, "a value that begins with {}", "put the value in quotes"),
    _Slip(
        "",
        False,
        "something that does not fit here in YAML",
        "check the indentation, and put values with quotes, brackets or a leading * & ! in quotes",
    ),
)


def syntax_hint(
    text: str, problem: str, context: str, position: Position, since: Position
) -> tuple[Position, InvalidValueError]:
    """Where to point and what to say.

    `problem` and `context` are the parser's words, `position` where it stumbled, `since` where the
    construct began that it was reading.
    """
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    if tab := _TAB_INDENT.match(line):
        return Position(position.line, tab.end()), InvalidValueError(
            "indent with spaces", found="a tab in the indentation"
        )
    if "nesting depth" in problem or "nesting depth" in context:
        return position, InvalidValueError("nest a few levels at most", found="nesting that is too deep")
    if "flow" in context:
        return _flow(line, context, position, since)
    if "mapping values" in problem:
        return _mapping_value(lines, position)
    slip = next(slip for slip in _SLIPS if slip.words in f"{context}: {problem}")
    found = slip.found.replace("{}", line[position.column - 1 : position.column])
    return since if slip.since else position, InvalidValueError(slip.hint, found=found)


def _flow(line: str, context: str, position: Position, since: Position) -> tuple[Position, InvalidValueError]:
    if "${" in line:
        hint = "put the value with ${...} in quotes, or write the list or mapping on lines of its own"
        return position, InvalidValueError(hint, found="a ${...} inside [ ] or { }")
    opening, closing = ("[", "]") if "sequence" in context else ("{", "}")
    return since, InvalidValueError(
        f"close it with {closing}, with commas between its parts", found=f"an unfinished {opening}"
    )


def _mapping_value(lines: list[str], position: Position) -> tuple[Position, InvalidValueError]:
    if ": " in lines[position.line - 1][: position.column - 1]:
        return position, InvalidValueError("put the value in quotes", found="a second colon followed by a space")
    above = next((number for number in range(position.line - 1, 0, -1) if lines[number - 1].strip()), 0)
    text = lines[above - 1].split(" #")[0] if above else ":"
    if ": " not in text and not text.rstrip().endswith(":"):
        column = len(text) - len(text.lstrip()) + 1
        return Position(above, column), InvalidValueError(
            "write `key: value`", found="a line without a colon and a space"
        )
    return position, InvalidValueError(
        "align it with its neighbours",
        found="a `key: value` that does not fit the line above",
    )
