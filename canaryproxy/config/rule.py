"""Rules as users write them: names, values to compare with, and what else belongs to an exception.

Pure functions that raise `Wrong`. Each gives the one spelling that requests are compared in.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.config.match import exact_path, path_prefix
from canaryproxy.config.problem import Wrong
from canaryproxy.config.quantity import is_off
from canaryproxy.model.fields import UNMATCHED
from canaryproxy.model.rule import Kind
from canaryproxy.model.table import UPGRADES, Affinity, VersionName
from canaryproxy.routing.condition import BadPattern, compile_pattern

RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
TEXT = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
"""What a field value may hold. Half a surrogate pair, which JSON can bring, is no character."""

COOKIE = "canaryproxy"
"""Name of the affinity cookie unless the config gives another."""

LONGEST_VALUE = 4096
MOST_ITEMS = 10_000
LONGEST_AGE = 400 * 24 * 3600
"""Seconds; browsers keep no cookie longer (RFC 6265bis 5.5)."""

KINDS = ("exact", "prefix", "regex", "present", "in")
PATH_KINDS = ("exact", "prefix", "regex")


class Matcher(NamedTuple):
    """What a value is compared with: see `model.rule.Condition`."""

    kind: Kind
    values: tuple[str, ...]


def rule_name(value: object) -> str:
    """A name fit for a metric label and a URL segment."""
    if isinstance(value, str) and RULE_NAME.fullmatch(value):
        return value
    slug = re.sub(r"[^a-z0-9_.-]+", "-", value.lower()).strip("-_.")[:63] if isinstance(value, str) else ""
    expected = "a name has 1 to 63 of a-z, 0-9, _ . - and begins with a letter or digit, such as testers"
    raise Wrong(f"{expected}: write {slug}" if slug else expected)


def header_name(value: object) -> str:
    """A field name in lower case; none that a version never gets to see as the client wrote it."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise Wrong("expected a header's name, such as x-internal-tester")
    name = value.lower()
    if name.encode("ascii") in UNMATCHED:
        raise Wrong(f"{name} is not passed on as the client wrote it, so nothing can depend on it")
    if name == "cookie":
        raise Wrong("write `cookies`, which reads them one by one")
    return name


def cookie_name(value: object) -> str:
    """A cookie's name, which is case-sensitive."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise Wrong("expected a cookie's name: letters, digits and !#$%&'*+-.^_`|~")
    return value


def parameter_name(value: object) -> str:
    """The name of a query parameter, as it reads after percent-decoding."""
    if not isinstance(value, str) or not value or len(value) > LONGEST_VALUE or not TEXT.fullmatch(value):
        raise Wrong("expected a parameter's name, such as preview")
    return value


def matcher(value: object) -> Matcher:
    """A text (exact), or one of `exact`, `prefix`, `regex`, `present`, `in`."""
    return _matcher(value, KINDS, _text, _text)


def path_matcher(value: object) -> Matcher:
    """A path (exact), or one of `exact`, `prefix` (by whole segments), `regex`."""
    return _matcher(value, PATH_KINDS, exact_path, path_prefix)


def _matcher(
    value: object, kinds: tuple[str, ...], exact: Callable[[object], str], prefix: Callable[[object], str]
) -> Matcher:
    if not isinstance(value, dict):
        return Matcher("exact", (exact(value),))
    if len(value) != 1 or (kind := next(iter(value))) not in kinds:
        raise Wrong(f"expected a text, or exactly one of {', '.join(f'`{kind}`' for kind in kinds)} with its value")
    given = value[kind]
    if kind == "exact":
        return Matcher("exact", (exact(given),))
    if kind == "prefix":
        return Matcher("prefix", (prefix(given),))
    if kind == "regex":
        return Matcher("regex", (_pattern(given),))
    if kind == "present":
        if not isinstance(given, bool):
            raise Wrong("`present` is true or false")
        return Matcher("present", ("true" if given else "false",))
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ITEMS:
        raise Wrong(f"`in` is a list of 1 to {MOST_ITEMS} texts")
    return Matcher("in", tuple(dict.fromkeys(map(_text, given))))


def _text(value: object) -> str:
    if isinstance(value, bool):
        raise Wrong('put it in quotes: "true" or "false", or "yes" and the like, just as clients send it')
    if isinstance(value, (int, float)):
        raise Wrong(f'put it in quotes: "{value}"')
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or not TEXT.fullmatch(value):
        raise Wrong(f"expected a text of at most {LONGEST_VALUE} printable characters")
    if value != value.strip(" \t"):
        raise Wrong("values are compared without white space around them: leave it out")
    return value


def _pattern(value: object) -> str:
    pattern = _text(value)
    if not pattern.isascii():
        raise Wrong(r"a regular expression is written in ASCII; give other bytes as \xNN, as they are on the wire")
    try:
        compile_pattern(pattern)
    except BadPattern as error:
        raise Wrong(f"this is no regular expression that RE2 takes ({error})") from None
    return pattern


def method(value: object) -> str:
    """A request method. Methods are case-sensitive (RFC 9110 9.1)."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise Wrong("expected a method such as GET")
    if value in ("CONNECT", "TRACE"):
        raise Wrong("CONNECT and TRACE are not served")
    if value != value.upper():
        raise Wrong(f"methods are case-sensitive: write {value.upper()}")
    return value


def version_name(value: object) -> VersionName:
    """`stable` or `canary`."""
    if value == "stable":
        return "stable"
    if value == "canary":
        return "canary"
    raise Wrong("expected stable or canary")


AFFINITY_EXPECTED = "expected none, cookie, source, {cookie: NAME, max_age: 1h} or {header: NAME}"


def affinity(read_age: Callable[[object], float]) -> Callable[[object], Affinity | None]:
    """A reader of what keeps a client on its bucket; `read_age` reads the cookie's life in seconds."""

    def read(value: object) -> Affinity | None:
        if is_off(value):
            return None
        if value == "cookie":
            return Affinity("cookie", COOKIE)
        if value == "source":
            return Affinity("source")
        if isinstance(value, dict) and set(value) == {"header"}:
            return Affinity("header", header_name(value["header"]))
        if isinstance(value, dict) and "cookie" in value and set(value) <= {"cookie", "max_age"}:
            age = round(read_age(value["max_age"])) if "max_age" in value else None
            return Affinity("cookie", cookie_name(value["cookie"]), age)
        raise Wrong(AFFINITY_EXPECTED)

    return read


def affinity_text(value: Affinity | None) -> str:
    """The shortest way to write an affinity."""
    if value is None:
        return "none"
    return value.by if not value.name or value == Affinity("cookie", COOKIE) else f"{value.by} {value.name}"


def fallback(value: object) -> frozenset[VersionName]:
    """The versions that the other one may stand in for."""
    if value == "both":
        return frozenset(("stable", "canary"))
    if value is True or is_off(value):
        return frozenset(("canary",)) if value is True else frozenset()
    raise Wrong("expected true, false or both")


def fallback_text(value: frozenset[VersionName]) -> str:
    """`true`, `false` or `both`."""
    return {0: "false", 1: "true"}.get(len(value), "both")


def upgrades(value: object) -> tuple[str, ...]:
    """Protocols that a connection may change to, in lower case."""
    if is_off(value):
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and TOKEN.fullmatch(one) for one in value):
        raise Wrong(f"expected a list of protocols such as [{', '.join(UPGRADES)}], or none")
    names = tuple(one.lower() for one in value)
    if refused := [name for name in names if name.startswith(("h2c", "http", "tls"))]:
        raise Wrong(f"{refused[0]} is never passed on: it would carry requests past every rule")
    return names
