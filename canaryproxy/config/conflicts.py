"""What only several entries together can get wrong: two routes claiming one host and path, two
listeners in each other's way.

Pure, on the tree in its full form, so these show together with all other problems. Entries that are
wrong in themselves are passed over here: the schema reports them.
"""

from collections.abc import Callable, Iterator, Mapping

from canaryproxy.config.problems import InvalidValueError, Loc, path_text
from canaryproxy.config.schema.root import SchemaFault
from canaryproxy.config.types.address import Address, listen_address, overlap
from canaryproxy.config.types.match import host_pattern, path_prefix
from canaryproxy.config.yaml.document import SourceValue, YamlTree

MAX_CONFLICTS = 100_000
"""Pairs of host and path in one config; the table of any real gateway is far smaller."""


def find_conflicts(tree: YamlTree, source_values: Mapping[Loc, SourceValue]) -> Iterator[SchemaFault]:
    """Every claim that an earlier entry already makes."""
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
            hint = f"a config claims at most {MAX_CONFLICTS} pairs of host and path"
            yield SchemaFault(top, "value", InvalidValueError(hint, found="too many hosts and paths"))
            return
        yield from _claim(claimed, hosts, paths, source_values)


def _readable(
    route: dict[str, YamlTree], key: str, top: Loc, read: Callable[[object], str], default: str
) -> Iterator[tuple[str, Loc]]:
    """The entries of a list that can be read, with where they stand; the default where the key is left out."""
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
    blamed: set[Loc] = set()
    for host, host_loc in hosts:
        for path, path_loc in paths:
            first = claimed.setdefault((host, path), (host_loc, path_loc))
            again = path_loc if path_loc != first[1] else host_loc
            if first == (host_loc, path_loc) or again in blamed:
                continue
            blamed.add(again)
            found = f"a second claim to {path} on {'any host' if host == '*' else host}"
            if _expanded(source_values, *first, host_loc, path_loc):
                found = "a second claim to the same host and path"
            where = _location_text(first[1], source_values)
            hint = f"remove it, or give it a host or path of its own; {where} has it already"
            yield SchemaFault(
                again, "value", InvalidValueError(hint, found=found, plain=InvalidValueError(hint, found=found))
            )


def _location_text(loc: Loc, source_values: Mapping[Loc, SourceValue]) -> str:
    source_value = source_values.get(loc) or source_values.get(loc[:2])
    line = (
        f" at line {source_value.position.line}"
        if source_value is not None and source_value.position is not None
        else ""
    )
    return f"routes.{loc[1]}{line}"


def _expanded(source_values: Mapping[Loc, SourceValue], *locs: Loc) -> bool:
    """Whether any of these comes from the environment, in whatever form it is written."""
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
                source_value = source_values.get(other_loc)
                quiet = _expanded(source_values, loc, other_loc)
                line = (
                    f" at line {source_value.position.line}"
                    if source_value is not None and source_value.position is not None
                    else ""
                )
                yield SchemaFault(loc, "value", _twice(address, other, f"{path_text(other_loc)}{line}", quiet))
                break
        earlier.append((address, loc))


def _twice(address: Address, other: Address, where: str, quiet: bool) -> InvalidValueError:
    """`quiet`: one of them comes from the environment."""
    if quiet:
        plain = InvalidValueError(f"remove one; {where} listens there already", found="an address a second time")
        return InvalidValueError(plain.hint, found=plain.found, plain=plain)
    return InvalidValueError(f"remove one; {where} listens on {other} already", found=f"{address} a second time")
