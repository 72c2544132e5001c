"""The value of one scalar: environment variables are expanded, then the text of a plain scalar gets its type.

Pure: the environment is an argument. `${NAME}` and `${NAME:-default}` are replaced; `$${` is a literal `${`. A default
is used where the variable is unset or empty, as in a shell. The result is always text of the same scalar: it never
becomes a key, a list or a mapping.

Types follow the core schema of YAML 1.2, plus `yes no on off` of YAML 1.1. Base-60 numbers, octal numbers and dates of
YAML 1.1 are left out on purpose: they turn `1:30`, `010` and `2024-01-01` into surprises.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError

# A value without parts.
Plain = str | int | float | bool | None

# Characters of one scalar after expansion: repeated references to a long variable cannot exhaust the memory.
MAX_VALUE_LENGTH = 65_536

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)

_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,30}(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_EXPONENT = re.compile(r"[-+]?[0-9]{1,18}[eE][-+]?[0-9]{1,3}", re.ASCII)
_BEYOND = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


def typed_scalar(text: str) -> Plain:
    """The value of a plain (unquoted) scalar. Numbers longer than any quantity needs remain text."""
    if text in _NOTHING:
        return None
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) or _EXPONENT.fullmatch(text):
        return float(text)
    return _BEYOND.get(lower, text)


class Expanded(NamedTuple):
    """A scalar after expansion, and the variables that it refers to."""

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
        hint = "write ${NAME} or ${NAME:-default}; for a literal ${ write $${"
        raise InvalidValueError(hint, found="a ${ that is not a reference to a variable")
    name, default = inside[1], inside[2]
    names.append(name)
    value = environ.get(name)
    if value or (value is not None and default is None):
        return value
    if default is None:
        hint = f"set {name} in the environment, or give a default: ${{{name}:-value}}"
        raise InvalidValueError(hint, found=f"the environment variable {name} is not set")
    return default
