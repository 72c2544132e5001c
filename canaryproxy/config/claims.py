"""What only several entries together can get wrong: two routes claiming one host and path, two
listeners in each other's way.

Pure, on the tree in its full form, so these show together with all other problems. Entries that are
wrong in themselves are passed over here: the schema reports them.
"""

from collections.abc import Callable, Iterator, Mapping

from canaryproxy.config.address import Address, listen_address, overlap
from canaryproxy.config.document import Spot, Tree
from canaryproxy.config.match import host_pattern, path_prefix
from canaryproxy.config.problem import Loc, Wrong, path_text
from canaryproxy.config.schema import Fault

MAX_CLAIMS = 100_000
"""Pairs of host and path in one config; the table of any real gateway is far smaller."""


def conflicts(tree: Tree, spots: Mapping[Loc, Spot]) -> Iterator[Fault]:
    """Every claim that an earlier entry already makes."""
    if isinstance(tree, dict):
        yield from _routes(tree.get("routes"), spots)
        yield from _listeners(tree.get("server"), spots)


def _routes(routes: Tree, spots: Mapping[Loc, Spot]) -> Iterator[Fault]:
    claimed: dict[tuple[str, str], tuple[Loc, Loc]] = {}
    for name, route in routes.items() if isinstance(routes, dict) else ():
        if not isinstance(route, dict):
            continue
        top: Loc = ("routes", name)
        hosts = list(_readable(route, "hosts", top, host_pattern, "*"))
        paths = list(_readable(route, "paths", top, path_prefix, "/"))
        if len(claimed) + len(hosts) * len(paths) > MAX_CLAIMS:
            mend = f"a config claims at most {MAX_CLAIMS} pairs of host and path"
            yield Fault(top, "value", Wrong(mend, found="too many hosts and paths"))
            return
        yield from _claim(claimed, hosts, paths, spots)


def _readable(
    route: dict[str, Tree], key: str, top: Loc, read: Callable[[object], str], default: str
) -> Iterator[tuple[str, Loc]]:
    """The entries of a list that can be read, with where they stand; the default where the key is left out."""
    if key not in route:
        yield default, top
    entries = route.get(key)
    for index, entry in enumerate(entries) if isinstance(entries, list) else ():
        try:
            yield read(entry), (*top, key, index)
        except Wrong:
            continue


def _claim(
    claimed: dict[tuple[str, str], tuple[Loc, Loc]],
    hosts: list[tuple[str, Loc]],
    paths: list[tuple[str, Loc]],
    spots: Mapping[Loc, Spot],
) -> Iterator[Fault]:
    blamed: set[Loc] = set()
    for host, host_loc in hosts:
        for path, path_loc in paths:
            first = claimed.setdefault((host, path), (host_loc, path_loc))
            again = path_loc if path_loc != first[1] else host_loc
            if first == (host_loc, path_loc) or again in blamed:
                continue
            blamed.add(again)
            found = f"a second claim to {path} on {'any host' if host == '*' else host}"
            if _expanded(spots, *first, host_loc, path_loc):
                found = "a second claim to the same host and path"
            mend = f"remove it, or give it a host or path of its own; {_said(first[1], spots)} has it already"
            yield Fault(again, "value", Wrong(mend, found=found, plain=Wrong(mend, found=found)))


def _said(loc: Loc, spots: Mapping[Loc, Spot]) -> str:
    spot = spots.get(loc) or spots.get(loc[:2])
    line = f" at line {spot.place.line}" if spot is not None and spot.place is not None else ""
    return f"routes.{loc[1]}{line}"


def _expanded(spots: Mapping[Loc, Spot], *locs: Loc) -> bool:
    """Whether any of these comes from the environment, in whatever form it is written."""
    places = [loc[:size] for loc in locs for size in range(1, len(loc) + 1)]
    return any(spots[one].variables for one in (*places, *(one[2:] for one in places)) if one in spots)


def _listeners(server: Tree, spots: Mapping[Loc, Spot]) -> Iterator[Fault]:
    listen = server.get("listen") if isinstance(server, dict) else None
    earlier: list[tuple[Address, Loc]] = []
    for index, listener in enumerate(listen[:1000]) if isinstance(listen, list) else ():
        loc: Loc = ("server", "listen", index, "address")
        try:
            address = listen_address(listener.get("address") if isinstance(listener, dict) else None)
        except Wrong:
            continue
        for other, other_loc in earlier:
            if overlap(address, other):
                spot = spots.get(other_loc)
                quiet = _expanded(spots, loc, other_loc)
                line = f" at line {spot.place.line}" if spot is not None and spot.place is not None else ""
                yield Fault(loc, "value", _twice(address, other, f"{path_text(other_loc)}{line}", quiet))
                break
        earlier.append((address, loc))


def _twice(address: Address, other: Address, where: str, quiet: bool) -> Wrong:
    """`quiet`: one of them comes from the environment."""
    if quiet:
        plain = Wrong(f"remove one; {where} listens there already", found="an address a second time")
        return Wrong(plain.mend, found=plain.found, plain=plain)
    return Wrong(f"remove one; {where} listens on {other} already", found=f"{address} a second time")
