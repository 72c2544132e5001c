"""What a plain (unquoted) scalar means: nothing, true or false, a number, or text.

The reading of YAML 1.2's core schema, plus `yes no on off` as YAML 1.1 has them. Left out on purpose:
YAML 1.1's base-60 numbers, octals and dates, which turn `1:30`, `010` and `2024-01-01` into surprises.
Also used after `${ENV}` was expanded, so `weight: ${W}` is a number wherever `weight: 5` is.
"""

import re

Plain = str | int | float | bool | None
"""A value without parts."""

_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,30}(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_EXPONENT = re.compile(r"[-+]?[0-9]{1,18}[eE][-+]?[0-9]{1,3}", re.ASCII)
_BEYOND = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}


def typed_scalar(text: str) -> Plain:
    """The value of a plain scalar. Longer numbers than any quantity needs stay text."""
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
