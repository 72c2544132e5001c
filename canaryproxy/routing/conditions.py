"""Compiles the conditions of rules to matchers, and explains them.

A regular expression must match the whole value. Of repeated headers, cookies or parameters any one may match.
"""

import ipaddress
from collections.abc import Iterable

from canaryproxy.model.rule import Condition
from canaryproxy.routing import matchers
from canaryproxy.routing.list_values import ListField
from canaryproxy.routing.matchers import Matcher
from canaryproxy.routing.path import normalise
from canaryproxy.routing.patterns import Pattern, Prefix, pattern
from canaryproxy.routing.request_view import RequestView

MAX_SHOWN_LENGTH = 60


def compile_condition(condition: Condition) -> Matcher:
    """The matcher of a condition."""
    subject = condition.subject
    if subject == "source":
        return matchers.FromNetworks(ipaddress.ip_network(text) for text in condition.values)
    name, values = condition.name.encode("utf-8"), _values(condition)
    if subject == "path" and condition.kind == "prefix":
        return matchers.PathPrefix(values[0].removesuffix(b"/"))
    if condition.kind == "present":
        return matchers.IsPresent(subject, name, wanted=condition.values[0] == "true")
    if condition.kind == "item":
        return matchers.AnyListed(ListField(subject, name), values)
    wanted = pattern_of(condition)
    if wanted is not None:
        return matchers.AnyMatches(subject, name, wanted)
    fast = {"method": matchers.MethodIn, "path": matchers.PathIs}.get(subject)
    return matchers.AnyIs(subject, name, values) if fast is None else fast(values)


def _values(condition: Condition) -> list[bytes]:
    values = [value.encode("utf-8") for value in condition.values]
    return [normalise(value) for value in values] if condition.subject == "path" else values


def pattern_of(condition: Condition) -> Pattern | Prefix | None:
    """The pattern of a `regex` or of a `prefix` of a value; None for other conditions."""
    if condition.kind == "regex":
        return pattern(condition.values[0])
    if condition.kind == "prefix" and condition.subject != "path":
        return Prefix(condition.values[0].encode("utf-8"))
    return None


def exact_keys(condition: Condition) -> list[tuple[str, bytes, bytes]]:
    """(subject, name, value) triples of which a request must have one, for `exact` and `in`; else none."""
    if condition.kind not in ("exact", "in") or condition.subject in ("source", "method"):
        return []
    name = condition.name.encode("utf-8")
    return [(condition.subject, name, value) for value in _values(condition)]


def mismatch_reason(condition: Condition, request: RequestView) -> str:
    """Why the request does not meet the condition, in words."""
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
    values = request.values(condition.subject, condition.name.encode("utf-8"))
    return f"is {_shown(values)}" if values else "is absent"


def _shown(values: Iterable[bytes]) -> str:
    texts = [value.decode("utf-8", "backslashreplace") for value in values]
    return " and ".join(f'"{text[:MAX_SHOWN_LENGTH]}{"..." if len(text) > MAX_SHOWN_LENGTH else ""}"' for text in texts)
