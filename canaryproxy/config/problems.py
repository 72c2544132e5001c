"""Problems of a config: one sentence each, with its position and a suggested fix.

A reader of a value raises `InvalidValueError` and knows neither the file nor the path. Its caller adds both and makes a
`ConfigProblem`. All problems of a config are raised together in a `ConfigError`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from canaryproxy.escape import escaped

# A path in the tree: keys of mappings and indexes of lists, from the top.
Loc = tuple[str | int, ...]


class Position(NamedTuple):
    """A position in the text; line and column count from 1."""

    line: int
    column: int


class InvalidValueError(ValueError):
    """A value that cannot be accepted.

    `hint` says what is expected or what to write instead. `found` replaces the default description of the value: where
    it says more, or where the value must not be shown. `plain` and `plain_hint` replace `found` and `hint` in a section
    with values from the environment, which may be secrets: they contain no value.
    """

    def __init__(
        self, hint: str, *, found: str | None = None, plain: str | None = None, plain_hint: str | None = None
    ) -> None:
        super().__init__(hint)
        self.hint = hint
        self.found = found
        self.plain = None if plain is None else InvalidValueError(plain_hint or hint, found=plain)

    @property
    def expected(self) -> str:
        """The part of the hint that says what is expected. It contains no suggestion, since that is made from the
        value. Empty where the hint names no expectation.
        """
        _, word, rest = self.hint.rpartition("expected ")
        return f"{word}{re.split('[:;] write ', rest)[0]}" if word else ""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong with a config.

    `file` is its name as given, empty for command-line flags. `line` and `column` count from 1; they are None where
    there is no text to point into. `path` names the key (`routes.shop.weight`) or the flag (`--weight`), `found`
    describes the present value, `hint` the fix.
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
    """A config that cannot be used, with every problem that was found, in the order of the text.

    `str()` gives one line for each problem.
    """

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
        super().__init__("\n".join(map(str, self.problems)))


def section_text(path: Loc) -> str:
    """A path of the schema for readers: `("routes", "*", "rules", "*")` as `routes.<name>.rules[]`."""
    return path_text(path).replace("routes.*", "routes.<name>").replace(".*", "[]")


def path_text(loc: Loc) -> str:
    """`("routes", "shop", "hosts", 1)` as `routes.shop.hosts[1]`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
