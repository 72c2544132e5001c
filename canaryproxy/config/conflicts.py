"""Entries that do not fit together: two routes with the same host and path, two listeners with overlapping addresses,
and weights and rules for a canary that the route does not have.

Pure, on the tree in its full form, so that these faults are reported together with all others, each at its own line.
Invalid entries are skipped here: the schema reports them.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping

from canaryproxy.config.problems import InvalidValueError, Loc, path_text
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.types.address import Address, listen_address, overlap
from canaryproxy.config.types.match import host_pattern, path_prefix
from canaryproxy.config.types.quantity import percent
from canaryproxy.config.types.readers import is_off
from canaryproxy.config.yaml.document import SourceValue, YamlTree
from canaryproxy.model.table import FULL_WEIGHT

NO_CANARY = "the route has no canary"

# Pairs of host and path in one config: far more than a real gateway has, and quick to check.
MAX_CONFLICTS = 100_000


def find_conflicts(tree: YamlTree, source_values: Mapping[Loc, SourceValue]) -> Iterator[SchemaFault]:
    """A fault for every entry that conflicts with an earlier one."""
    if isinstance(tree, dict):
        yield from _routes(tree.get("routes"), source_values)
        yield from _listeners(tree.get("server"), source_values)


def _routes(routes: YamlTree, source_values: Mapping[Loc, SourceValue]) -> Iterator[SchemaFault]:
    claimed: dict[tuple[str, str], tuple[Loc, Loc]] = {}
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if not isinstance(route, dict):
            continue
        top: Loc = ("routes", name)
        hosts = list(_readable(route, "hosts", top, host_pattern, "*"))
        paths = list(_readable(route, "paths", top, path_prefix, "/"))
        if len(claimed) + len(hosts) * len(paths) > MAX_CONFLICTS:
            hint = f"a config has at most {MAX_CONFLICTS} pairs of host and path"
            yield SchemaFault(top, "value", InvalidValueError(hint, found="too many hosts and paths"))
            return
        yield from _claim(claimed, hosts, paths, source_values)


def _readable(
    route: dict[str, YamlTree], key: str, top: Loc, read: Callable[[object], str], default: str
) -> Iterator[tuple[str, Loc]]:
    """The valid entries of a list with their paths; the default if the key is left out."""
    if key not in route:
        yield default, top
    entries = route.get(key)
    for index, entry in enumerate(entries) if isinstance(entries, list) else ():
        try:
            yield read(entry), (*top, key, index)
        except InvalidValueError:
            continue


def _claim(
    claimed: dict[tuple[str, str], tuple[Loc, Loc]],
    hosts: list[tuple[str, Loc]],
    paths: list[tuple[str, Loc]],
    source_values: Mapping[Loc, SourceValue],
) -> Iterator[SchemaFault]:
    reported: set[Loc] = set()
    for host, host_loc in hosts:
        for path, path_loc in paths:
            first = claimed.setdefault((host, path), (host_loc, path_loc))
            again = path_loc if path_loc != first[1] else host_loc
            if first == (host_loc, path_loc) or again in reported:
                continue
            reported.add(again)
            found = f"duplicate path {path} on {'any host' if host == '*' else host}"
            if _expanded(source_values, *first, host_loc, path_loc):
                found = "duplicate host and path"
            where = f"routes.{first[1][1]}{_line_text(source_values, first[1], first[1][:2])}"
            hint = f"remove it, or use another host or path; {where} has it already"
            yield SchemaFault(again, "value", InvalidValueError(hint, found=found, plain=found))


def _line_text(source_values: Mapping[Loc, SourceValue], *locs: Loc) -> str:
    """` at line 3` for the first path that is in the text; empty if there is no text."""
    value = next((source_values[loc] for loc in locs if loc in source_values), None)
    return "" if value is None or value.position is None else f" at line {value.position.line}"


def _expanded(source_values: Mapping[Loc, SourceValue], *locs: Loc) -> bool:
    """Whether a value at or above any of these paths comes from the environment, in the full or the short form."""
    places = [loc[:size] for loc in locs for size in range(1, len(loc) + 1)]
    return any(source_values[one].variables for one in (*places, *(one[2:] for one in places)) if one in source_values)


def _listeners(server: YamlTree, source_values: Mapping[Loc, SourceValue]) -> Iterator[SchemaFault]:
    listen = server.get("listen") if isinstance(server, dict) else None
    earlier: list[tuple[Address, Loc]] = []
    for index, listener in enumerate(listen[:1000]) if isinstance(listen, list) else ():
        loc: Loc = ("server", "listen", index, "address")
        try:
            address = listen_address(listener.get("address") if isinstance(listener, dict) else None)
        except InvalidValueError:
            continue
        for other, other_loc in earlier:
            if overlap(address, other):
                where = f"{path_text(other_loc)}{_line_text(source_values, other_loc)}"
                hint, found = f"remove one; {where} listens on {other} already", f"{address} a second time"
                if _expanded(source_values, loc, other_loc):  # a value from the environment is never shown
                    hint, found = f"remove one; {where} listens on it already", "an address a second time"
                yield SchemaFault(loc, "value", InvalidValueError(hint, found=found, plain=found))
                break
        earlier.append((address, loc))


def find_unused_weights(tree: YamlTree) -> Iterator[SchemaFault]:
    """A fault for every key that would send requests to a canary, in routes without one."""
    routes = tree.get("routes") if isinstance(tree, dict) else None
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if isinstance(route, dict) and _plain(route):
            yield from _unused_weight(route, ("routes", name))
            yield from _unused_rules(route.get("rules"), ("routes", name, "rules"))


def _plain(route: dict[str, YamlTree]) -> bool:
    """Whether a route is meant to have no canary. For a misspelt `canary`, only the misspelt key is reported."""
    if "canary" in route:
        return is_off(route["canary"])
    unknown = [key for key in route if key not in RouteConfig.model_fields]
    return not difflib.get_close_matches("canary", unknown, n=1, cutoff=0.7)


def _unused_weight(route: dict[str, YamlTree], top: Loc) -> Iterator[SchemaFault]:
    weight = _share(route, "weight", 0)
    if weight:
        found, plain = f"a weight of {weight / 100:g} %, but {NO_CANARY}", f"a weight above 0, but {NO_CANARY}"
        yield _fault((*top, "weight"), "add the canary, or remove the weight", found, plain)


def _unused_rules(rules: YamlTree, top: Loc) -> Iterator[SchemaFault]:
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
