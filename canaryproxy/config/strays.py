"""What sends requests to a canary in a route that has none: a weight, and rules.

Pure, on the tree in its full form, so each is reported at its own line, together with all other problems. Values that
are wrong in themselves are passed over here: the schema reports them.
"""

import difflib
from collections.abc import Iterator

from canaryproxy.config.document import Tree
from canaryproxy.config.problem import Loc, Wrong
from canaryproxy.config.quantity import is_off, percent
from canaryproxy.config.route import RouteConfig
from canaryproxy.config.schema import Fault
from canaryproxy.model.table import FULL_WEIGHT

NO_CANARY = "the route has no canary"


def strays(tree: Tree) -> Iterator[Fault]:
    """Every key of a plain route that would send requests to its canary."""
    routes = tree.get("routes") if isinstance(tree, dict) else None
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if isinstance(route, dict) and _plain(route):
            yield from _weight(route, ("routes", name))
            yield from _rules(route.get("rules"), ("routes", name, "rules"))


def _plain(route: dict[str, Tree]) -> bool:
    """Whether no canary is meant. A misspelt `canary` is reported as such, and nothing else with it."""
    if "canary" in route:
        return is_off(route["canary"])
    unknown = [key for key in route if key not in RouteConfig.model_fields]
    return not difflib.get_close_matches("canary", unknown, n=1, cutoff=0.7)


def _weight(route: dict[str, Tree], top: Loc) -> Iterator[Fault]:
    weight = _share(route, "weight", 0)
    if weight:
        found = f"a weight of {weight / 100:g} %, and {NO_CANARY}"
        mend = "name the canary, or remove the weight"
        plain = Wrong(mend, found=f"a weight above 0, and {NO_CANARY}")
        yield Fault((*top, "weight"), "value", Wrong(mend, found=found, plain=plain))


def _rules(rules: Tree, top: Loc) -> Iterator[Fault]:
    for number, rule in enumerate(rules) if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        share = _share(rule, "percent", FULL_WEIGHT)
        if rule.get("to") == "canary":
            wrong = Wrong("name the canary, or remove the rule", found=f"a rule to the canary, and {NO_CANARY}")
            yield Fault((*top, number), "value", wrong)
        elif rule.get("to") == "stable" and share is not None and share < FULL_WEIGHT:
            rest = f"{(FULL_WEIGHT - share) / 100:g} %"
            found = f"a rule that leaves {rest} to the canary, and {NO_CANARY}"
            mend = "name the canary, or remove `percent`"
            plain = Wrong(mend, found=f"a rule that leaves a share to the canary, and {NO_CANARY}")
            yield Fault((*top, number), "value", Wrong(mend, found=found, plain=plain))


def _share(mapping: dict[str, Tree], key: str, default: int) -> int | None:
    """A percentage in basis points; None for a value that is none."""
    if key not in mapping:
        return default
    try:
        return percent(mapping[key])
    except Wrong:
        return None
