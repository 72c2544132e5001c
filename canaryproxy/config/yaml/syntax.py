"""Error messages for text that is not YAML, the same for both parsers of the library.

Pure. The C parser and the Python parser word the same error differently, and both in terms of tokens. The message is
therefore chosen by the position, the text of the line and a few stable fragments of the parser's message.
"""

import re
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError, Position

_TAB_INDENT = re.compile(r" *\t")


class _Mistake(NamedTuple):
    """A mistake, recognised by a fragment of the parser's message. `since`: report the beginning of the construct."""

    fragment: str
    since: bool
    found: str
    hint: str


_MISTAKES = (
    _Mistake("end of stream", True, "a quoted text without its closing quote", "add the closing quote"),
    _Mistake("unknown escape", True, "an unknown \\ escape in double quotes", "write \\\\, or use single quotes"),
    _Mistake("scanning an alias", True, "a value that begins with *", "put the value in quotes"),
    _Mistake("scanning an anchor", True, "a value that begins with &", "put the value in quotes"),
    _Mistake("expected ':'", True, "a line without a colon and a space", "write `key: value`"),
    _Mistake("cannot start any token", False, "a value that begins with {}", "put the value in quotes"),
    _Mistake(
        "",
        False,
        "text that YAML does not allow here",
        "check the indentation; a value that contains quotes or brackets, or begins with * & !, needs quotes",
    ),
)


def syntax_hint(
    text: str, problem: str, context: str, position: Position, since: Position
) -> tuple[Position, InvalidValueError]:
    """The position to report and the problem.

    `problem` and `context` are the message of the parser, `position` is where it stopped, and `since` where the
    construct began that it was reading.
    """
    lines = text.splitlines()
    line = lines[position.line - 1] if position.line <= len(lines) else ""
    if tab := _TAB_INDENT.match(line):
        return Position(position.line, tab.end()), InvalidValueError(
            "indent with spaces", found="a tab in the indentation"
        )
    if "nesting depth" in problem or "nesting depth" in context:
        return position, InvalidValueError("use fewer levels", found="nesting that is too deep")
    if "flow" in context:
        return _flow(line, context, position, since)
    if "mapping values" in problem:
        return _mapping_value(lines, position)
    mistake = next(one for one in _MISTAKES if one.fragment in f"{context}: {problem}")
    found = mistake.found.replace("{}", line[position.column - 1 : position.column])
    return since if mistake.since else position, InvalidValueError(mistake.hint, found=found)


def _flow(line: str, context: str, position: Position, since: Position) -> tuple[Position, InvalidValueError]:
    if "${" in line:
        hint = "put the value with ${...} in quotes, or write the list or mapping without brackets"
        return position, InvalidValueError(hint, found="a ${...} inside [ ] or { }")
    opening, closing = ("[", "]") if "sequence" in context else ("{", "}")
    return since, InvalidValueError(
        f"close it with {closing}, and separate its parts with commas", found=f"an unfinished {opening}"
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
    found = "a `key: value` that does not fit the line above"
    return position, InvalidValueError("indent it like the keys beside it", found=found)
