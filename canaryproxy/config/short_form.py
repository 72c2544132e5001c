"""Converts the short form of a config to the full form, as a single route named `default`.

Pure, on the plain tree. Short form: `stable`, `canary` and the other keys of a route at the top, beside `server`. Full
form: `server` and `routes`. In a mixture of both, each key of a route at the top is a fault.
"""

from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.yaml.document import YamlTree

# Name of the route of the short form.
DEFAULT_ROUTE = "default"

ROUTE_KEYS = tuple(RouteConfig.model_fields)

TWO_LINES = "two lines are enough: `stable: http://localhost:9001` and `canary: http://localhost:9002`"


class Shaped(NamedTuple):
    """The tree in the full form, whether it was written in the short form, and the faults of its form."""

    tree: YamlTree
    short: bool
    faults: tuple[SchemaFault, ...] = ()


def full_form(tree: YamlTree) -> Shaped:
    """Convert a tree to the full form. A tree that has neither form becomes None."""
    if tree is None or tree == {}:
        return _wrong(TWO_LINES, "an empty config")
    if not isinstance(tree, dict):
        if isinstance(tree, str) and ":" in tree:  # YAML reads `stable:http://a` as one text
            return _wrong("put a space after the colon: `key: value`", "text without keys")
        return _wrong(TWO_LINES, "a list without keys" if isinstance(tree, list) else "a value without a key")
    if "routes" in tree:
        return _full(tree)
    if tree.keys() == {"server"}:
        return _wrong("add `stable: URL` and `canary: URL`, or `routes`", "a config without routes")
    route = {key: value for key, value in tree.items() if key != "server"}
    shaped: dict[str, YamlTree] = {"routes": {DEFAULT_ROUTE: route}}
    if "server" in tree:
        shaped["server"] = tree["server"]
    return Shaped(shaped, short=True)


def _full(tree: dict[str, YamlTree]) -> Shaped:
    hint = "move it to one of the routes, or remove `routes`"
    misplaced = [key for key in tree if key in ROUTE_KEYS]
    faults = [
        SchemaFault((key,), "value", InvalidValueError(hint, found="a key that is not allowed beside `routes`"))
        for key in misplaced
    ]
    if tree["routes"] in (None, {}, []):
        wrong = InvalidValueError("give at least one route, by its name", found="no routes")
        faults.append(SchemaFault(("routes",), "value", wrong))
        return Shaped(None, short=False, faults=tuple(faults))
    return Shaped({key: tree[key] for key in tree if key not in misplaced}, short=False, faults=tuple(faults))


def _wrong(hint: str, found: str) -> Shaped:
    return Shaped(None, short=False, faults=(SchemaFault((), "value", InvalidValueError(hint, found=found)),))
