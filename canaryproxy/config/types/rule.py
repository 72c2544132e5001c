"""Rules as users write them: names, values to compare with, and what else belongs to an exception.

Pure functions that raise `InvalidValueError`. Each gives the one spelling that requests are compared in.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.match import exact_path, path_prefix
from canaryproxy.config.types.quantity import is_off
from canaryproxy.model.fields import UNMATCHED, is_x_forwarded
from canaryproxy.model.forwarded import Family
from canaryproxy.model.rule import Kind
from canaryproxy.model.table import UPGRADES, VersionName
from canaryproxy.routing.patterns import InvalidPatternError, Pattern

RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
PROTOCOL = re.compile(rf"{TOKEN.pattern}(?:/{TOKEN.pattern})?", re.ASCII)
"""A name with or without a version (RFC 9110 7.8)."""

TEXT = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
"""What a field value may hold. Half a surrogate pair, which JSON can bring, is no character."""

COOKIE = "canaryproxy"
"""Name of the affinity cookie unless the config gives another."""

MAX_VALUE_LENGTH = 4096
MAX_ITEMS = 10_000
MAX_AGE_SECONDS = 400 * 24 * 3600
"""Seconds; browsers keep no cookie longer (RFC 6265bis 5.5)."""

KINDS = ("exact", "prefix", "regex", "present", "in", "item")
PATH_KINDS = ("exact", "prefix", "regex")


class MatchSpec(NamedTuple):
    """What a value is compared with: see `model.rule.Condition`."""

    kind: Kind
    values: tuple[str, ...]


def rule_name(value: object) -> str:
    """A name fit for a metric label and a URL segment."""
    if isinstance(value, str) and RULE_NAME.fullmatch(value):
        return value
    slug = re.sub(r"[^a-z0-9_.-]+", "-", value.lower()).strip("-_.")[:63] if isinstance(value, str) else ""
    expected = "a name has 1 to 63 of a-z, 0-9, _ . - and begins with a letter or digit, such as testers"
    raise InvalidValueError(f"{expected}: write {slug}" if slug else expected)


def header_name(value: object) -> str:
    """A field name in lower case; none that a version never gets to see as the client wrote it."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise InvalidValueError("expected a header's name, such as x-internal-tester")
    name = value.lower()
    if name.encode("ascii") in UNMATCHED:
        raise InvalidValueError(f"{name} is not passed on as the client wrote it, so nothing can depend on it")
    if name == "cookie":
        raise InvalidValueError("write `cookies`, which reads them one by one")
    return name


def cookie_name(value: object) -> str:
    """A cookie's name, which is case-sensitive."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise InvalidValueError("expected a cookie's name: letters, digits and !#$%&'*+-.^_`|~")
    return value


def parameter_name(value: object) -> str:
    """The name of a query parameter, as it reads after percent-decoding."""
    if not isinstance(value, str) or not value or len(value) > MAX_VALUE_LENGTH or not TEXT.fullmatch(value):
        raise InvalidValueError("expected a parameter's name, such as preview")
    return value


def matcher(value: object) -> MatchSpec:
    """A text (exact), or one of `exact`, `prefix`, `regex`, `present`, `in`, `item`."""
    return _matcher(value, KINDS, _text, _text)


def path_matcher(value: object) -> MatchSpec:
    """A path (exact), or one of `exact`, `prefix` (by whole segments), `regex`."""
    return _matcher(value, PATH_KINDS, exact_path, path_prefix)


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
    """The values that a kind of comparison is given."""
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
    """An item of a list-valued field, without the quotes it may stand in."""
    if isinstance(value, list):
        raise InvalidValueError("`item` is a text, or a list of texts any of which may be among the items")
    text = _text(value)
    if not text:
        raise InvalidValueError("`item` is not empty: empty items of a list mean nothing")
    return text


def _text(value: object) -> str:
    if isinstance(value, bool):
        raise InvalidValueError('put it in quotes: "true" or "false", or "yes" and the like, just as clients send it')
    if isinstance(value, (int, float)):
        raise InvalidValueError(f'put it in quotes: "{value}"')
    if not isinstance(value, str) or len(value) > MAX_VALUE_LENGTH or not TEXT.fullmatch(value):
        raise InvalidValueError(f"expected a text of at most {MAX_VALUE_LENGTH} printable characters")
    if value != value.strip(" \t"):
        raise InvalidValueError("values are compared without white space around them: leave it out")
    return value


def _pattern(value: object) -> str:
    pattern = _text(value)
    if not pattern.isascii():
        raise InvalidValueError(
            r"a regular expression is written in ASCII; give other bytes as \xNN, as they are on the wire"
        )
    try:
        Pattern(pattern)
    except InvalidPatternError as error:
        raise InvalidValueError(f"this is no regular expression that RE2 takes ({error})") from None
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


def version_name(value: object) -> VersionName:
    """`stable` or `canary`."""
    if value == "stable":
        return "stable"
    if value == "canary":
        return "canary"
    raise InvalidValueError("expected stable or canary")


def fallback(value: object) -> frozenset[VersionName]:
    """The versions that the other one may stand in for."""
    if value == "both":
        return frozenset(("stable", "canary"))
    if value is True or is_off(value):
        return frozenset(("canary",)) if value is True else frozenset()
    raise InvalidValueError("expected true, false or both")


def fallback_text(value: frozenset[VersionName]) -> str:
    """`true`, `false` or `both`."""
    return {0: "false", 1: "true"}.get(len(value), "both")


def upgrades(value: object) -> tuple[str, ...]:
    """Protocols that a connection may change to, in lower case."""
    if is_off(value):
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and PROTOCOL.fullmatch(one) for one in value):
        raise InvalidValueError(f"expected a list of protocols such as [{', '.join(UPGRADES)}] or [SPDY/3.1], or none")
    names = tuple(one.lower() for one in value)
    if any("*" in name for name in names):
        raise InvalidValueError(
            "`*` stands for nothing here: name each protocol, one without a version for all of its versions"
        )
    if refused := [name for name in names if name.startswith(("h2c", "http", "tls"))]:
        raise InvalidValueError(f"{refused[0]} is never passed on: it would carry requests past every rule")
    return names


def forwarded_family(value: object) -> Family:
    """Which forwarding fields trusted proxies write."""
    if value == "x-forwarded":
        return "x-forwarded"
    if value == "rfc7239":
        return "rfc7239"
    raise InvalidValueError("expected x-forwarded or rfc7239")


def forwarded_name(value: object) -> str:
    """An X-Forwarded-* field that may pass from anyone, in lower case; none that we write."""
    name = value.lower() if isinstance(value, str) else ""
    if not TOKEN.fullmatch(name) or not is_x_forwarded(name.encode("ascii")) or "_" in name:
        raise InvalidValueError("expected the name of an X-Forwarded-* field, such as x-forwarded-prefix")
    if "*" in name:
        raise InvalidValueError("`*` stands for nothing here: name each field, such as x-forwarded-prefix")
    if name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"):
        raise InvalidValueError(f"{name} is written here, from what is known of the client: no other party may set it")
    return name
