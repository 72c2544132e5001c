"""The request fields that decide between the versions of a route: its responses vary by them (RFC 9110 12.5.5).

Every rule that may decide counts, also for requests without its field: a cache must not give their response to a
request with the field. Computed once per table.
"""

from collections.abc import Iterable
from typing import NamedTuple

from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import FULL_WEIGHT, Affinity, VersionName

COOKIE = "cookie"
# Limit on names in Vary: a cache cannot make use of more, so `*` is sent instead.
MAX_NAMES = 64

# Fields that are part of a cache's key anyway (RFC 9111 2).
CACHE_KEY_FIELDS = ("host",)


class VarySummary(NamedTuple):
    """The possible effects of rules: fields they look at, versions they lead to, whether one of them draws a bucket,
    and whether a request can match none of them.
    """

    names: tuple[str, ...]
    versions: frozenset[VersionName]
    draws: bool
    passed: bool


def vary_summary(rules: Iterable[Rule], *, aborted: bool) -> VarySummary:
    """The summary of a route's rules. With an aborted canary, all but previews lead to stable."""
    names: dict[str, None] = {}
    kept: tuple[str, ...] = ()
    versions: set[VersionName] = set()
    draws = False
    for rule in rules:
        names.update(dict.fromkeys(name for name in map(_name, rule.conditions) if name))
        alive = not aborted or (rule.preview and rule.to == "canary")
        if alive:
            kept = tuple(names)
            versions |= _versions(rule)
            draws = draws or 0 < rule.percent < FULL_WEIGHT
        else:
            versions.add("stable")
        if not rule.conditions:
            return VarySummary(kept, frozenset(versions), draws, passed=False)
    return VarySummary(kept, frozenset(versions), draws, passed=True)


def names_of(rules: VarySummary, weight: int, affinity: Affinity | None, *, aborted: bool) -> tuple[bytes, ...]:
    """The fields for Vary, in canonical spelling; none if only one version can be reached."""
    versions, draws, by_weight = set(rules.versions), rules.draws, 0 if aborted else weight
    if rules.passed:
        versions |= {"canary"} if by_weight else set()
        versions |= {"stable"} if by_weight < FULL_WEIGHT else set()
        draws = draws or 0 < by_weight < FULL_WEIGHT
    if len(versions) < 2:
        return ()
    key = "" if affinity is None or not draws else COOKIE if affinity.by == "cookie" else affinity.name
    names = dict.fromkeys((*rules.names, key) if key and key not in CACHE_KEY_FIELDS else rules.names)
    if len(names) > MAX_NAMES:
        return (b"*",)
    return tuple([name.title().encode("ascii") for name in names])


def _versions(rule: Rule) -> set[VersionName]:
    other: VersionName = "stable" if rule.to == "canary" else "canary"
    return ({rule.to} if rule.percent else set()) | ({other} if rule.percent < FULL_WEIGHT else set())


def _name(condition: Condition) -> str:
    if condition.subject == "cookie":
        return COOKIE
    return condition.name if condition.subject == "header" and condition.name not in CACHE_KEY_FIELDS else ""
