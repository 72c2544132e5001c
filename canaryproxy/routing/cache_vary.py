"""Which fields of requests decide between the versions of a route: what its answers vary by (RFC 9110 12.5.5).

Every rule that may decide counts, for a request without the field as well: a cache that has its answer must not give it
to one with the field. Worked out when a table is made, never for a request.
"""

from collections.abc import Iterable
from typing import NamedTuple

from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import FULL_WEIGHT, Affinity, VersionName

COOKIE = "cookie"
MAX_NAMES = 64
"""Names that are worth naming: of more of them a cache can make no use, and then everything counts (`*`)."""

CACHE_KEY_FIELDS = ("host",)
"""What tells stored answers apart anyway (RFC 9111 2)."""


class VarySummary(NamedTuple):
    """What rules may do: the fields they look at, the versions they lead to, whether one of them draws, and whether any
    request passes all of them.
    """

    names: tuple[str, ...]
    versions: frozenset[VersionName]
    draws: bool
    passed: bool


def vary_summary(rules: Iterable[Rule], *, aborted: bool) -> VarySummary:
    """What the rules of a route may do. Those of an aborted canary lead to stable, but for previews of the canary."""
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
    """The fields that answers of a route vary by, as they are written; none where only one version can be reached."""
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
