"""The list of all paths by which a client's request can reach the canary of a route. Pure.

`abort` checks here whether there is anything to withdraw; each row says how an abort closes the path. A new path is a
new row, and `tests/routing/test_canary_paths.py` sends requests along each of them.

Not paths of their own: affinity (a bucket below the weight or a rule's percentage), retries and the shield (they follow
the decision), and tunnels (they follow their request). Rules and mirror of a rollout's step are in the table as the
route's own. Health checks and hooks are not client traffic.
"""

from collections.abc import Callable
from dataclasses import dataclass

from canaryproxy.model.rule import Rule
from canaryproxy.model.table import FULL_WEIGHT, Route


@dataclass(frozen=True, slots=True)
class CanaryPath:
    """One path. `open`: whether a route has it, regardless of an abort; `closed_by`: how an abort closes it, empty for
    the exception.
    """

    name: str
    open: Callable[[Route], bool]
    closed_by: str


def _to_canary(route: Route) -> bool:
    return any(rule.to == "canary" and rule.percent > 0 and not rule.preview for rule in route.rules)


def _around_stable(route: Route) -> bool:
    return any(rule.to == "stable" and rule.percent < FULL_WEIGHT for rule in route.rules)


def _preview(route: Route) -> bool:
    return any(previews(rule) and rule.percent > 0 for rule in route.rules)


def _mirror(route: Route) -> bool:
    return route.mirror is not None and route.mirror.percent > 0


PATHS: tuple[CanaryPath, ...] = (
    CanaryPath("weight", lambda route: route.weight > 0, "the decision is stable for every bucket"),
    CanaryPath("rule to canary", _to_canary, "the rule is skipped"),
    CanaryPath("rule to stable with percent", _around_stable, "the rule is skipped"),
    CanaryPath(
        "fallback: both", lambda route: "stable" in route.fallback, "stable has no fallback, also for older exchanges"
    ),
    CanaryPath("mirror", _mirror, "no copies are made; waiting and open ones are dropped"),
    CanaryPath("preview rule", _preview, ""),
)


def previews(rule: Rule) -> bool:
    """Whether a rule sends requests to the canary even when it is aborted; never true for a rule to stable."""
    return rule.preview and rule.to == "canary"


def open_paths(route: Route) -> tuple[str, ...]:
    """The paths of a route to the canary, regardless of an abort."""
    return tuple(path.name for path in PATHS if path.open(route))
