"""Conditions of rules as users write them: names of fields, matchers, methods, and settings of the same kind of routes.

Pure functions that raise `InvalidValueError`. Each result has the one spelling that requests are compared in.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.match import exact_path, path_prefix
from canaryproxy.config.types.readers import is_off, matching, non_empty_sequence
from canaryproxy.model.fields import UNMATCHED, is_x_forwarded
from canaryproxy.model.goal import REACHED
from canaryproxy.model.rule import Kind
from canaryproxy.model.table import UPGRADES, VersionName
from canaryproxy.routing.patterns import InvalidPatternError, Pattern

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
# A protocol name, with or without a version (RFC 9110 7.8).
PROTOCOL = re.compile(rf"{TOKEN.pattern}(?:/{TOKEN.pattern})?", re.ASCII)

# Characters of a field value. A lone surrogate, which JSON can contain, is no character.
TEXT = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")

# Default name of the affinity cookie.
COOKIE = "canaryproxy"

MAX_VALUE_LENGTH = 4096
MAX_ITEMS = 10_000
# Seconds; browsers keep no cookie longer (RFC 6265bis 5.5).
MAX_AGE_SECONDS = 400 * 24 * 3600

KINDS = ("exact", "prefix", "regex", "present", "in", "item")
PATH_KINDS = ("exact", "prefix", "regex")


StatusRanges = tuple[tuple[int, int], ...]
_SPAN = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", re.ASCII)


class MatchSpec(NamedTuple):
    """How a value is compared, and with which values; see `model.rule.Condition`."""

    kind: Kind
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {json.dumps(self.values)}"


def header_name(value: object) -> str:
    """The name of a header field, in lower case. Fields that are not forwarded unchanged are refused."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise InvalidValueError("expected a header's name, such as x-internal-tester")
    name = value.lower()
    if name.encode("ascii") in UNMATCHED:
        raise InvalidValueError(f"{name} is not forwarded as the client sent it, so no rule can depend on it")
    if name == "cookie":
        raise InvalidValueError("use the key `cookies`, which compares single cookies")
    return name


# The reader of the name of a cookie, which is case-sensitive.
cookie_name = matching(TOKEN, "expected a cookie's name: letters, digits and !#$%&'*+-.^_`|~")

# The reader of the name of a query parameter, percent-decoded.
parameter_name = matching(
    rf"(?!\Z)(?=.{{1,{MAX_VALUE_LENGTH}}}\Z){TEXT.pattern}", "expected a parameter's name, such as preview"
)


def matcher(value: object) -> MatchSpec:
    """A text (exact), or one of `exact`, `prefix`, `regex`, `present`, `in`, `item`."""
    return _matcher(value, KINDS, _text, _text)


def path_matcher(value: object) -> MatchSpec | None:
    """A path (exact), one of `exact`, `prefix` (by whole segments), `regex`, or no value: every path."""
    return None if value is None else _matcher(value, PATH_KINDS, exact_path, path_prefix)


def _matcher(
    value: object, kinds: tuple[str, ...], exact: Callable[[object], str], prefix: Callable[[object], str]
) -> MatchSpec:
    if not isinstance(value, dict):
        return MatchSpec("exact", (exact(value),))
    if len(value) != 1 or (kind := next(iter(value))) not in kinds:
        raise InvalidValueError(
            f"expected a text, or exactly one of {', '.join(f'`{kind}`' for kind in kinds)} with its value"
        )
    return MatchSpec(kind, _compared(kind, value[kind], exact, prefix))


def _compared(
    kind: Kind, given: object, exact: Callable[[object], str], prefix: Callable[[object], str]
) -> tuple[str, ...]:
    """The values of a comparison of this kind."""
    readers: dict[str, Callable[[object], str]] = {"exact": exact, "prefix": prefix, "regex": _pattern}
    if kind in readers:
        return (readers[kind](given),)
    if kind == "present":
        if not isinstance(given, bool):
            raise InvalidValueError("`present` is true or false")
        return ("true" if given else "false",)
    if kind == "item":
        return tuple(dict.fromkeys(map(_item, given if isinstance(given, list) and given else [given])))
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_ITEMS:
        raise InvalidValueError(f"`in` is a list of 1 to {MAX_ITEMS} texts")
    return tuple(dict.fromkeys(map(_text, given)))


def _item(value: object) -> str:
    """An item of a list-valued field, without quotes."""
    if isinstance(value, list):
        raise InvalidValueError("`item` is a text, or a list of texts of which any may match")
    text = _text(value)
    if not text:
        raise InvalidValueError("`item` must not be empty: empty list items have no meaning")
    return text


def _text(value: object) -> str:
    if isinstance(value, bool):
        raise InvalidValueError('put it in quotes: "true" or "false", or "yes" and the like, just as clients send it')
    if isinstance(value, (int, float)):
        raise InvalidValueError(f'put it in quotes: "{value}"')
    if not isinstance(value, str) or len(value) > MAX_VALUE_LENGTH or not TEXT.fullmatch(value):
        raise InvalidValueError(f"expected a text of at most {MAX_VALUE_LENGTH} printable characters")
    if value != value.strip(" \t"):
        raise InvalidValueError("remove the white space around it: values are compared without")
    return value


def _pattern(value: object) -> str:
    pattern = _text(value)
    if not pattern.isascii():
        raise InvalidValueError(r"a regular expression is written in ASCII; write other bytes as \xNN")
    try:
        Pattern(pattern)
    except InvalidPatternError as error:
        raise InvalidValueError(f"not a valid RE2 regular expression ({error})") from None
    return pattern


def method(value: object) -> str:
    """A request method. Methods are case-sensitive (RFC 9110 9.1)."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise InvalidValueError("expected a method such as GET")
    if value in ("CONNECT", "TRACE"):
        raise InvalidValueError("CONNECT and TRACE are not served")
    if value != value.upper():
        raise InvalidValueError(f"methods are case-sensitive: write {value.upper()}")
    return value


def statuses(value: object) -> StatusRanges:
    """`2xx`, `201`, `200-299`, or a list of them, as ranges that include both ends."""
    return tuple(map(_range, non_empty_sequence(value))) if isinstance(value, list) else (_range(value),)


def _range(value: object) -> tuple[int, int]:
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[1-5][xX]{2}", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    span = _SPAN.fullmatch(text)
    if span is None:
        raise InvalidValueError("expected a status such as 201, 2xx or 200-299, or a list of them")
    low, high = int(span[1]), int(span[2] or span[1])
    if low > high:
        raise InvalidValueError(f"write the smaller status first: {high}-{low}")
    return low, high


def statuses_text(value: StatusRanges) -> str:
    """Ranges as they are written."""
    if value == REACHED:
        return "[2xx, 3xx]"
    shown = [_range_text(low, high) for low, high in value]
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _range_text(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low // 100}xx" if low % 100 == 0 and high == low + 99 else f"{low}-{high}"


def fallback(value: object) -> frozenset[VersionName]:
    """The versions that the other version may replace while they are unavailable."""
    if value == "both":
        return frozenset(("stable", "canary"))
    if value is True or is_off(value):
        return frozenset(("canary",)) if value is True else frozenset()
    raise InvalidValueError("expected true, false or both")


def fallback_text(value: frozenset[VersionName]) -> str:
    """`true`, `false` or `both`."""
    return {0: "false", 1: "true"}.get(len(value), "both")


def upgrades(value: object) -> tuple[str, ...]:
    """Protocols that a connection may be upgraded to, in lower case."""
    if is_off(value):
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and PROTOCOL.fullmatch(one) for one in value):
        raise InvalidValueError(f"expected a list of protocols such as [{', '.join(UPGRADES)}] or [SPDY/3.1], or none")
    names = tuple(one.lower() for one in value)
    if any("*" in name for name in names):
        raise InvalidValueError(
            "`*` is not a wildcard here: name each protocol; a name without a version allows all versions"
        )
    if refused := [name for name in names if name.startswith(("h2c", "http", "tls"))]:
        raise InvalidValueError(f"{refused[0]} is never forwarded: its requests would bypass all rules")
    return names


def forwarded_name(value: object) -> str:
    """The name of an X-Forwarded-* field, in lower case. Fields that canaryproxy writes are refused."""
    name = value.lower() if isinstance(value, str) else ""
    if not TOKEN.fullmatch(name) or not is_x_forwarded(name.encode("ascii")) or "_" in name:
        raise InvalidValueError("expected the name of an X-Forwarded-* field, such as x-forwarded-prefix")
    if "*" in name:
        raise InvalidValueError("`*` is not a wildcard here: name each field, such as x-forwarded-prefix")
    if name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"):
        raise InvalidValueError(f"{name} is always written by canaryproxy; clients cannot set it")
    return name
