"""Finds the route of a host and path in an index built once per table.

The host decides first: an exact name takes precedence over a wildcard, a longer wildcard over a shorter one, and routes
without hosts come last. Then the path: the longest prefix by whole segments. If the host matches and no path does, the
request has no route; it does not fall through to a less specific host (as in nginx and in the Gateway API, HTTPRoute,
"hostnames"). A request without a host (HTTP/1.0) matches only routes without hosts.

If two routes have the same host and path, the first one is used; the configuration rejects such a table.
"""

import contextlib
import ipaddress
from collections.abc import Iterator

from canaryproxy.model.decision import Decision
from canaryproxy.model.table import Route, RoutingTable
from canaryproxy.routing.compiled_route import CompileCache, CompiledRoute
from canaryproxy.routing.field_scan import path_of
from canaryproxy.routing.path import normalise

# Limits of the cache of hosts as received: a name of 255 bytes, dot and port. Clients choose them: bounded.
MAX_CACHED_HOSTS = 1024
MAX_CACHED_HOST_BYTES = 262


def host_name(authority: bytes) -> bytes:
    """The name or bracketed address in `host [":" port]` as it is compared: lower case, without port and without one
    trailing dot (RFC 9110 4.2.3, RFC 3986 6.2.2.1), an IPv6 address in its canonical form (RFC 5952).
    """
    if authority[:1] != b"[":
        return authority.partition(b":")[0].lower().removesuffix(b".")
    text = authority.partition(b"]")[0][1:].decode("latin-1").lower()
    with contextlib.suppress(ValueError):  # a literal that is no address is compared as it is: it matches no host
        text = str(ipaddress.IPv6Address(text))
    return f"[{text}]".encode("latin-1")


class PathIndex:
    """The path prefixes of one host. A look-up takes one step per segment of the deepest prefix."""

    def __init__(self) -> None:
        self._depth = 0
        self._prefixes: dict[bytes, CompiledRoute] = {}
        self._root: CompiledRoute | None = None

    def __repr__(self) -> str:
        return f"<PathIndex root {self._root!r}, {self._prefixes!r}>"

    def claim(self, prefix: str, compiled: CompiledRoute) -> None:
        """Assign `prefix` to a route, unless an earlier one has it."""
        path = normalise(prefix.encode()).removesuffix(b"/")
        if path:
            self._prefixes.setdefault(path, compiled)
            self._depth = max(self._depth, path.count(b"/"))
        elif self._root is None:
            self._root = compiled

    def find(self, target: bytes) -> CompiledRoute | None:
        """The route with the longest prefix of a request target. `*` (OPTIONS) matches the prefix `/` only."""
        best = self._root
        if not self._depth:
            return best
        path = normalise(path_of(target))
        prefixes = self._prefixes
        end = 0
        for _ in range(self._depth):
            end = path.find(b"/", end + 1)
            if end < 0:
                return prefixes.get(path, best)
            best = prefixes.get(path[:end], best)
        return best


class RouteIndex:
    """A table's routes by host and path. Unchanged routes are taken over from the index `before`."""

    by_name: dict[str, CompiledRoute]

    def __init__(self, table: RoutingTable, before: "RouteIndex | None" = None) -> None:
        self._generation = table.generation
        self._any = PathIndex()
        self._exact: dict[bytes, PathIndex] = {}
        self._wildcards: dict[bytes, PathIndex] = {}
        self._cache: dict[bytes | None, PathIndex] = {}
        known = {} if before is None else before.by_name
        cache = CompileCache()
        entries = [_compile(route, known.get(route.name), cache) for route in table.routes]
        self.by_name = {compiled.route.name: compiled for compiled in entries}
        for compiled in entries:
            self._claim(compiled)
        self._labels = max((suffix.count(b".") + 1 for suffix in self._wildcards), default=0)
        alone = len(entries) == 1 and not entries[0].route.hosts and "/" in entries[0].route.paths
        self._only = entries[0] if alone else None

    def __repr__(self) -> str:
        hosts = len(self._exact) + len(self._wildcards)
        return f"<RouteIndex generation {self._generation}: {hosts} hosts, any host {self._any!r}>"

    def allows(self, decision: Decision) -> bool:
        """Whether this table still allows `decision` for an exchange that began earlier."""
        compiled = self.by_name.get(decision.route.name)
        if compiled is None or (compiled.route.aborted and decision.version.name == "canary" and not decision.preview):
            return False
        version = compiled.route.canary if decision.version.name == "canary" else compiled.route.stable
        return version is not None and decision.endpoint in version.endpoints

    def _claim(self, compiled: CompiledRoute) -> None:
        route = compiled.route
        claimed = [self._paths_of(host) for host in route.hosts] or [self._any]
        for paths in claimed:
            for prefix in route.paths:
                paths.claim(prefix, compiled)

    def _paths_of(self, host: str) -> PathIndex:
        if host.startswith("*."):
            return self._wildcards.setdefault(host_name(host[2:].encode()), PathIndex())
        return self._exact.setdefault(host_name(host.encode()), PathIndex())

    def find(self, host: bytes | None, target: bytes) -> CompiledRoute | None:
        """The route of an effective host (`host [":" port]` as received) and a request target, or None."""
        if self._only is not None:
            return self._only
        paths = self._cache.get(host)
        if paths is None:
            paths = self._cache_host(host)
        return paths.find(target)

    def _cache_host(self, host: bytes | None) -> PathIndex:
        paths = self._any if host is None else self._look_up(host_name(host))
        if len(self._cache) >= MAX_CACHED_HOSTS:
            self._cache.clear()
        if host is None or len(host) <= MAX_CACHED_HOST_BYTES:
            self._cache[host] = paths
        return paths

    def _look_up(self, name: bytes) -> PathIndex:
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        wildcards = self._wildcards
        return next((wildcards[suffix] for suffix in _suffixes(name, self._labels) if suffix in wildcards), self._any)


def _compile(route: Route, before: CompiledRoute | None, cache: CompileCache) -> CompiledRoute:
    return before if before is not None and before.route is route else CompiledRoute(route, before, cache)


def _suffixes(name: bytes, labels: int) -> Iterator[bytes]:
    """The suffixes of `name` after a dot, of at most `labels` labels, the longest first."""
    parts = name.rsplit(b".", labels)
    for start in range(1, len(parts)):
        yield b".".join(parts[start:])
