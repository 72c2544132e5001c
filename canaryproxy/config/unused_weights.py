"""Weights and rules that send requests to a canary in a route without one.

Pure, on the tree in its full form, so that each is reported at its own line, together with all other problems. Invalid
values are skipped here: the schema reports them.
"""

import difflib
from collections.abc import Iterator

from canaryproxy.config.problems import InvalidValueError, Loc
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.types.quantity import percent
from canaryproxy.config.types.readers import is_off
from canaryproxy.config.yaml.document import YamlTree
from canaryproxy.model.table import FULL_WEIGHT

NO_CANARY = "the route has no canary"


def find_unused_weights(tree: YamlTree) -> Iterator[SchemaFault]:
    """A fault for every key that would send requests to a canary, in routes without one."""
    routes = tree.get("routes") if isinstance(tree, dict) else None
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if isinstance(route, dict) and _plain(route):
            yield from _weight(route, ("routes", name))
            yield from _rules(route.get("rules"), ("routes", name, "rules"))


def _plain(route: dict[str, YamlTree]) -> bool:
    """Whether a route is meant to have no canary. For a misspelt `canary`, only the misspelt key is reported."""
    if "canary" in route:
        return is_off(route["canary"])
    unknown = [key for key in route if key not in RouteConfig.model_fields]
    return not difflib.get_close_matches("canary", unknown, n=1, cutoff=0.7)


def _weight(route: dict[str, YamlTree], top: Loc) -> Iterator[SchemaFault]:
    weight = _share(route, "weight", 0)
    if weight:
        found, plain = f"a weight of {weight / 100:g} %, but {NO_CANARY}", f"a weight above 0, but {NO_CANARY}"
        yield _fault((*top, "weight"), "add the canary, or remove the weight", found, plain)


def _rules(rules: YamlTree, top: Loc) -> Iterator[SchemaFault]:
    for number, rule in enumerate(rules) if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        share = _share(rule, "percent", FULL_WEIGHT)
        if rule.get("to") == "canary":
            found = f"a rule to the canary, but {NO_CANARY}"
            yield _fault((*top, number), "add the canary, or remove the rule", found)
        elif rule.get("to") == "stable" and share is not None and share < FULL_WEIGHT:
            found = f"a rule that sends {(FULL_WEIGHT - share) / 100:g} % to the canary, but {NO_CANARY}"
            plain = f"a rule that sends requests to the canary, but {NO_CANARY}"
            yield _fault((*top, number), "add the canary, or remove `percent`", found, plain)


def _fault(loc: Loc, hint: str, found: str, plain: str | None = None) -> SchemaFault:
    return SchemaFault(loc, "value", InvalidValueError(hint, found=found, plain=plain))


def _share(mapping: dict[str, YamlTree], key: str, default: int) -> int | None:
    """A percentage in basis points; None for an invalid value."""
    if key not in mapping:
        return default
    try:
        return percent(mapping[key])
    except InvalidValueError:
        return None
