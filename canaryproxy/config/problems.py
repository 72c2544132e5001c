"""Problems of a config: one sentence each, with its place and a suggested fix.

A reader of a value raises `InvalidValueError` and knows neither the file nor the path. Who called it adds the
place and makes a `ConfigProblem` of it. All problems of one config travel together in a `ConfigError`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from canaryproxy.escape import escaped

Loc = tuple[str | int, ...]
"""Where in the tree: keys of mappings and indexes of lists, from the top."""


class Position(NamedTuple):
    """A place in the text; both count from 1."""

    line: int
    column: int


class InvalidValueError(ValueError):
    """A value that cannot be accepted.

    `hint` says what is expected or what to write instead. `found` replaces the default description
    of the value, where that says more (or where the value must not be shown). `plain` says it without any value, for a
    section with values from the environment: those may be secrets.
    """

    def __init__(self, hint: str, *, found: str | None = None, plain: "InvalidValueError | None" = None) -> None:
        super().__init__(hint)
        self.hint = hint
        self.found = found
        self.plain = plain

    @property
    def expected(self) -> str:
        """What is expected, without what to write instead, which is made of the value; empty where it says no such
        thing.
        """
        _, word, rest = self.hint.rpartition("expected ")
        return f"{word}{re.split('[:;] write ', rest)[0]}" if word else ""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a config.

    `file` is its name as given, empty for command-line flags; `line` and `column` count from 1 and
    are None where there is no text to point into. `path` names the key (`routes.shop.weight`) or the
    flag (`--weight`); `found` is what stands there, `hint` what to do about it.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    found: str
    hint: str

    def __str__(self) -> str:
        position = [self.file] if self.file else []
        if self.line is not None:
            position += [str(self.line), str(self.column)]
        head = ":".join(position)
        return escaped(": ".join(part for part in (head, self.path, f"{self.found}; {self.hint}") if part))


class ConfigError(Exception):
    """A config that cannot be used: every problem that was found, in the order of the text.

    `str()` gives one line per problem.
    """

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
        super().__init__("\n".join(map(str, self.problems)))


def path_text(loc: Loc) -> str:
    """`("routes", "shop", "hosts", 1)` as `routes.shop.hosts[1]`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
