"""`${NAME}` and `${NAME:-default}` inside a value; `$${` stands for a literal `${`.

Pure: the environment is an argument. A default is used where the variable is unset or empty, as in a
shell. What comes out is text of the same scalar: it never becomes a key, a list or a mapping.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError

MAX_VALUE_LENGTH = 65_536
"""Characters that one scalar may grow to."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)


class Expanded(NamedTuple):
    """A scalar after expansion, and the variables that went into it."""

    text: str
    names: tuple[str, ...]


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Replace every reference. Raises `InvalidValueError` for an unset variable or a malformed reference."""
    names: list[str] = []
    room = MAX_VALUE_LENGTH - len(text)

    def replacement(match: re.Match[str]) -> str:
        nonlocal room
        value = _value(match, environ, names)
        room -= len(value)
        if room < 0:
            raise InvalidValueError(
                f"a value has at most {MAX_VALUE_LENGTH} characters", found="a value that is too long"
            )
        return value

    return Expanded(_REFERENCE.sub(replacement, text), tuple(names))


def _value(match: re.Match[str], environ: Mapping[str, str], names: list[str]) -> str:
    if match[0] == "$${":
        return "${"
    inside = _INSIDE.fullmatch(match[1] or "")
    if inside is None:
        raise InvalidValueError(
            "write ${NAME} or ${NAME:-default}; for a literal ${ write $${",
            found="a ${ that is no reference to a variable",
        )
    name, default = inside[1], inside[2]
    names.append(name)
    value = environ.get(name)
    if value or (value is not None and default is None):
        return value
    if default is None:
        raise InvalidValueError(
            f"set {name} in the environment, or give a default: ${{{name}:-value}}",
            found=f"the environment variable {name} is not set",
        )
    return default
