"""The endpoints of a version, from its config, DNS answers and health. Pure.

Every address of a name is an endpoint. Names of this machine (`localhost`) are not resolved here: whether a server
listens on 127.0.0.1 or on ::1 only shows when connecting. Unknown health counts as healthy.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Set

from canaryproxy.config.schema.outbound import UpstreamTlsConfig, secure
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.types.address import Origin
from canaryproxy.model.table import Endpoint

Sides = tuple[tuple[Endpoint, ...], ...]
# Addresses by name.
Answers = Mapping[str, tuple[str, ...]]


def is_resolved(host: str) -> bool:
    """Whether we resolve a host: it is neither an address nor a name of this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def names(routes: Mapping[str, RouteConfig]) -> frozenset[str]:
    """The names to resolve for these routes."""
    return names_of(side for route in routes.values() for side in route.sides)


def names_of(sides: Iterable[VersionConfig]) -> frozenset[str]:
    """The names to resolve for these versions."""
    return frozenset(origin.host for side in sides for origin in side.origins if is_resolved(origin.host))


def endpoints_of(version: VersionConfig, answers: Answers) -> tuple[Endpoint, ...]:
    """Every endpoint of a version, in the order written, without duplicates."""
    found = [endpoint for origin in version.origins for endpoint in _expand(origin, version.tls, answers)]
    return tuple(dict.fromkeys(found))


def _expand(origin: Origin, tls: UpstreamTlsConfig | None, answers: Answers) -> list[Endpoint]:
    spoken = secure(origin.host, tls) if origin.scheme == "https" else None
    if not is_resolved(origin.host):
        return [Endpoint(origin.host, origin.port, tls=spoken)]
    return [Endpoint(address, origin.port, origin.host, spoken) for address in answers.get(origin.host, ())]


def usable(route: RouteConfig, answers: Answers, unhealthy: Set[Endpoint], *, off: bool = False) -> Sides:
    """The endpoints of stable and canary that may get requests; none for a missing canary.

    A version whose endpoints are all unhealthy has none, so that the other version is used as fallback. Stable without
    a fallback uses all of its endpoints: if only the health check is broken, trying them beats a certain 503. A canary
    that is `off` is no fallback.
    """
    stable = endpoints_of(route.stable, answers)
    canary = () if route.canary is None else endpoints_of(route.canary, answers)
    healthy = [tuple(one for one in side if one not in unhealthy) for side in (stable, canary)]
    stands_in = "stable" in route.fallback and healthy[1] and not off
    return healthy[0] or (() if stands_in else stable), healthy[1]


def which(canary: VersionConfig | None) -> tuple[tuple[Origin, ...], str]:
    """The identity of a canary; empty where there is none."""
    return ((), "") if canary is None else (canary.origins, canary.version)
