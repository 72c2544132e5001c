"""Conditions of a rule, ready to be asked: does this hold of the request?

A regular expression is RE2's, which takes time linear in its input whatever the pattern is, and must match
the whole value. Of repeated headers, cookies or parameters any one may match. The only home of google-re2.
"""

import ipaddress
from collections.abc import Iterable

import re2

from canaryproxy.model.rule import Condition
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.holds import (
    AnyMatches,
    FromNetworks,
    Holds,
    Matches,
    MethodIn,
    PathBelow,
    PathMatches,
    Present,
)
from canaryproxy.routing.listed import items
from canaryproxy.routing.path import normalise

LONGEST_SHOWN = 60


class BadPattern(ValueError):
    """Not a regular expression that RE2 takes; the message says why."""


def compile_pattern(pattern: str) -> Matches:
    """A regular expression as a full match on bytes. Raises `BadPattern`."""
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        fullmatch = re2.compile(pattern.encode("utf-8"), options).fullmatch
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise BadPattern(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    return lambda value: fullmatch(value) is not None


def compile_condition(condition: Condition) -> Holds:
    """What says whether `condition` holds of a request."""
    subject, name = condition.subject, condition.name.encode("utf-8")
    if subject == "source":
        return FromNetworks(ipaddress.ip_network(text) for text in condition.values)
    if subject == "method":
        return MethodIn(value.encode("ascii") for value in condition.values)
    if subject == "path" and condition.kind == "prefix":
        return PathBelow(normalise(condition.values[0].encode("utf-8")).removesuffix(b"/"))
    if subject == "path":
        return PathMatches(_matches(condition))
    if condition.kind == "present":
        return Present(subject, name, wanted=condition.values[0] == "true")
    return AnyMatches(subject, name, _matches(condition))


def _matches(condition: Condition) -> Matches:
    values = [value.encode("utf-8") for value in condition.values]
    if condition.kind == "regex":
        return compile_pattern(condition.values[0])
    if condition.kind == "prefix":
        return lambda value: value.startswith(values[0])
    if condition.subject == "path":
        values = [normalise(value) for value in values]
    if condition.kind == "item":
        return lambda value: not items(value).isdisjoint(values)
    return frozenset(values).__contains__


def keys_of(condition: Condition) -> list[tuple[str, bytes, bytes]]:
    """(subject, name, value) triples of which the request must have one, for `exact` and `in`; else none."""
    if condition.kind not in ("exact", "in") or condition.subject in ("source", "method"):
        return []
    name = condition.name.encode("utf-8")
    values = [value.encode("utf-8") for value in condition.values]
    if condition.subject == "path":
        values = [normalise(value) for value in values]
    return [(condition.subject, name, value) for value in values]


def why_not(condition: Condition, facts: Facts) -> str:
    """What the request has where the condition wants something else, in words."""
    wanted = wish(condition)
    return f"{wanted}, and it {_found(condition, facts)}"


def wish(condition: Condition) -> str:
    """The condition in words, such as `header x-tester must be "true"`."""
    subject = f"{condition.subject} {condition.name}".strip()
    if condition.kind == "present":
        return f"{subject} must be {'present' if condition.values[0] == 'true' else 'absent'}"
    if condition.subject == "source":
        return f"{subject} must be in {' or '.join(condition.values)}"
    values = " or ".join(f'"{value}"' for value in condition.values)
    verb = {"exact": "be", "in": "be", "prefix": "begin with", "regex": "match", "item": "list"}[condition.kind]
    return f"{subject} must {verb} {values}"


def _found(condition: Condition, facts: Facts) -> str:
    if condition.subject == "source":
        source = facts.source()
        return f"is {source}" if source is not None else "is unknown"
    if condition.subject in ("method", "path"):
        return f"is {_shown([facts.method if condition.subject == 'method' else facts.path()])}"
    values = facts.values(condition.subject, condition.name.encode("utf-8"))
    return f"is {_shown(values)}" if values else "is absent"


def _shown(values: Iterable[bytes]) -> str:
    texts = [value.decode("utf-8", "backslashreplace") for value in values]
    return " and ".join(f'"{text[:LONGEST_SHOWN]}{"..." if len(text) > LONGEST_SHOWN else ""}"' for text in texts)
