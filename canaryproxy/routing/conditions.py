"""Conditions of a rule, ready to be asked: does this hold of the request?

A regular expression must match the whole value. Of repeated headers, cookies or parameters any one may match.
"""

import ipaddress
from collections.abc import Iterable

from canaryproxy.model.rule import Condition
from canaryproxy.routing.list_values import ListField
from canaryproxy.routing.matchers import (
    AnyIs,
    AnyListed,
    AnyMatches,
    FromNetworks,
    IsPresent,
    Matcher,
    MethodIn,
    PathIs,
    PathMatches,
    PathPrefix,
)
from canaryproxy.routing.path import normalise
from canaryproxy.routing.patterns import Pattern, Prefix, pattern
from canaryproxy.routing.request_view import RequestView

MAX_SHOWN_LENGTH = 60


def compile_condition(condition: Condition) -> Matcher:
    """What says whether `condition` holds of a request."""
    subject = condition.subject
    if subject == "source":
        return FromNetworks(ipaddress.ip_network(text) for text in condition.values)
    if subject == "method":
        return MethodIn(value.encode("ascii") for value in condition.values)
    return _path(condition) if subject == "path" else _values(condition)


def _path(condition: Condition) -> Matcher:
    paths = [normalise(value.encode("utf-8")) for value in condition.values]
    if condition.kind == "prefix":
        return PathPrefix(paths[0].removesuffix(b"/"))
    wanted = pattern_of(condition)
    return PathIs(paths) if wanted is None else PathMatches(wanted)


def _values(condition: Condition) -> Matcher:
    subject, name = condition.subject, condition.name.encode("utf-8")
    values = [value.encode("utf-8") for value in condition.values]
    if condition.kind == "present":
        return IsPresent(subject, name, wanted=condition.values[0] == "true")
    if condition.kind == "item":
        return AnyListed(ListField(subject, name), values)
    wanted = pattern_of(condition)
    return AnyIs(subject, name, values) if wanted is None else AnyMatches(subject, name, wanted)


def pattern_of(condition: Condition) -> Pattern | Prefix | None:
    """What values are searched with, for `regex` and for the `prefix` of a value; None for all that is looked up."""
    if condition.kind == "regex":
        return pattern(condition.values[0])
    if condition.kind == "prefix" and condition.subject != "path":
        return Prefix(condition.values[0].encode("utf-8"))
    return None


def exact_keys(condition: Condition) -> list[tuple[str, bytes, bytes]]:
    """(subject, name, value) triples of which the request must have one, for `exact` and `in`; else none."""
    if condition.kind not in ("exact", "in") or condition.subject in ("source", "method"):
        return []
    name = condition.name.encode("utf-8")
    values = [value.encode("utf-8") for value in condition.values]
    if condition.subject == "path":
        values = [normalise(value) for value in values]
    return [(condition.subject, name, value) for value in values]


def mismatch_reason(condition: Condition, request: RequestView) -> str:
    """What the request has where the condition wants something else, in words."""
    wanted = requirement(condition)
    return f"{wanted}, and it {_actual(condition, request)}"


def requirement(condition: Condition) -> str:
    """The condition in words, such as `header x-tester must be "true"`."""
    subject = f"{condition.subject} {condition.name}".strip()
    if condition.kind == "present":
        return f"{subject} must be {'present' if condition.values[0] == 'true' else 'absent'}"
    if condition.subject == "source":
        return f"{subject} must be in {' or '.join(condition.values)}"
    values = " or ".join(f'"{value}"' for value in condition.values)
    verb = {"exact": "be", "in": "be", "prefix": "begin with", "regex": "match", "item": "list"}[condition.kind]
    return f"{subject} must {verb} {values}"


def _actual(condition: Condition, request: RequestView) -> str:
    if condition.subject == "source":
        source = request.source()
        return f"is {source}" if source is not None else "is unknown"
    if condition.subject in ("method", "path"):
        return f"is {_shown([request.method if condition.subject == 'method' else request.path()])}"
    values = request.values(condition.subject, condition.name.encode("utf-8"))
    return f"is {_shown(values)}" if values else "is absent"


def _shown(values: Iterable[bytes]) -> str:
    texts = [value.decode("utf-8", "backslashreplace") for value in values]
    return " and ".join(f'"{text[:MAX_SHOWN_LENGTH]}{"..." if len(text) > MAX_SHOWN_LENGTH else ""}"' for text in texts)
