"""Every path by which something of a client can come to the canary of a route, in one place. Pure.

`abort` asks here whether there is anything to take back; what closes each path stands beside it. A new path is a
new row, and `tests/routing/test_canary_paths.py` sends requests along each of them.

No paths of their own: affinity (a bucket below the weight or below a rule's percentage), retries and the shield (they
follow the decision), a tunnel (the request that opened it). The rules and the mirror of a rollout's step stand in the
table as the route's own. Health checks and hooks are no traffic of clients.
"""

from collections.abc import Callable
from dataclasses import dataclass

from canaryproxy.model.rule import Rule
from canaryproxy.model.table import FULL_WEIGHT, Route


@dataclass(frozen=True, slots=True)
class CanaryPath:
    """One path. `open` says whether a route has it, its abort aside; `closed_by` what of an abort closes it, empty for
    the exception.
    """

    name: str
    open: Callable[[Route], bool]
    closed_by: str


def _weight(route: Route) -> bool:
    return route.weight > 0


def _to_canary(route: Route) -> bool:
    return any(rule.to == "canary" and rule.percent > 0 and not rule.preview for rule in route.rules)


def _around_stable(route: Route) -> bool:
    return any(rule.to == "stable" and rule.percent < FULL_WEIGHT for rule in route.rules)


def _preview(route: Route) -> bool:
    return any(previews(rule) and rule.percent > 0 for rule in route.rules)


def _fallback(route: Route) -> bool:
    return "stable" in route.fallback


def _mirror(route: Route) -> bool:
    return route.mirror is not None and route.mirror.percent > 0


PATHS: tuple[CanaryPath, ...] = (
    CanaryPath("weight", _weight, "whatever the bucket is, the decision is stable"),
    CanaryPath("rule to canary", _to_canary, "the rule is passed over"),
    CanaryPath("rule to stable with percent", _around_stable, "the rule is passed over"),
    CanaryPath("fallback: both", _fallback, "stable has no stand-in, and no older exchange is moved to the canary"),
    CanaryPath("mirror", _mirror, "no copies are made; those that wait or are under way are dropped"),
    CanaryPath("preview rule", _preview, ""),
)


def previews(rule: Rule) -> bool:
    """Whether whom a rule sends to the canary reaches it even when it is aborted: `preview` of a rule to stable means
    nothing.
    """
    return rule.preview and rule.to == "canary"


def open_paths(route: Route) -> tuple[str, ...]:
    """The paths that lead to the canary, as if nothing were aborted."""
    return tuple(path.name for path in PATHS if path.open(route))
