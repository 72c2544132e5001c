"""What sends requests to a canary in a route that has none: a weight, and rules.

Pure, on the tree in its full form, so each is reported at its own line, together with all other problems. Values that
are wrong in themselves are passed over here: the schema reports them.
"""

import difflib
from collections.abc import Iterator

from canaryproxy.config.problems import InvalidValueError, Loc
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.types.quantity import is_off, percent
from canaryproxy.config.yaml.document import YamlTree
from canaryproxy.model.table import FULL_WEIGHT

NO_CANARY = "the route has no canary"


def strays(tree: YamlTree) -> Iterator[SchemaFault]:
    """Every key of a plain route that would send requests to its canary."""
    routes = tree.get("routes") if isinstance(tree, dict) else None
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if isinstance(route, dict) and _plain(route):
            yield from _weight(route, ("routes", name))
            yield from _rules(route.get("rules"), ("routes", name, "rules"))


def _plain(route: dict[str, YamlTree]) -> bool:
    """Whether no canary is meant. A misspelt `canary` is reported as such, and nothing else with it."""
    if "canary" in route:
        return is_off(route["canary"])
    unknown = [key for key in route if key not in RouteConfig.model_fields]
    return not difflib.get_close_matches("canary", unknown, n=1, cutoff=0.7)


def _weight(route: dict[str, YamlTree], top: Loc) -> Iterator[SchemaFault]:
    weight = _share(route, "weight", 0)
    if weight:
        found = f"a weight of {weight / 100:g} %, and {NO_CANARY}"
        hint = "name the canary, or remove the weight"
        plain = InvalidValueError(hint, found=f"a weight above 0, and {NO_CANARY}")
        yield SchemaFault((*top, "weight"), "value", InvalidValueError(hint, found=found, plain=plain))


def _rules(rules: YamlTree, top: Loc) -> Iterator[SchemaFault]:
    for number, rule in enumerate(rules) if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        share = _share(rule, "percent", FULL_WEIGHT)
        if rule.get("to") == "canary":
            wrong = InvalidValueError(
                "name the canary, or remove the rule", found=f"a rule to the canary, and {NO_CANARY}"
            )
            yield SchemaFault((*top, number), "value", wrong)
        elif rule.get("to") == "stable" and share is not None and share < FULL_WEIGHT:
            rest = f"{(FULL_WEIGHT - share) / 100:g} %"
            found = f"a rule that leaves {rest} to the canary, and {NO_CANARY}"
            hint = "name the canary, or remove `percent`"
            plain = InvalidValueError(hint, found=f"a rule that leaves a share to the canary, and {NO_CANARY}")
            yield SchemaFault((*top, number), "value", InvalidValueError(hint, found=found, plain=plain))


def _share(mapping: dict[str, YamlTree], key: str, default: int) -> int | None:
    """A percentage in basis points; None for a value that is none."""
    if key not in mapping:
        return default
    try:
        return percent(mapping[key])
    except InvalidValueError:
        return None
