"""Which endpoints a version has at this moment, from what is written, what names mean, and who is healthy. Pure.

Every address of a name is an endpoint. Names of this machine (`localhost`) stay names: whether a server listens
on 127.0.0.1 or on ::1 only shows when connecting. Unknown health counts as healthy.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Set

from canaryproxy.config.schema.outbound import UpstreamTlsConfig, secure
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.types.address import Origin
from canaryproxy.model.table import Endpoint

Answers = Mapping[str, tuple[str, ...]]
"""Addresses by name."""


def is_resolved(host: str) -> bool:
    """Whether a host is looked up by us: neither an address nor a name of this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def names(routes: Mapping[str, RouteConfig]) -> frozenset[str]:
    """The names that have to be resolved."""
    return names_of(side for route in routes.values() for side in route.sides)


def names_of(sides: Iterable[VersionConfig]) -> frozenset[str]:
    """Those of some versions."""
    return frozenset(origin.host for side in sides for origin in side.origins if is_resolved(origin.host))


def endpoints_of(version: VersionConfig, answers: Answers) -> tuple[Endpoint, ...]:
    """Every endpoint of a version, in the order written, each once."""
    found = [endpoint for origin in version.origins for endpoint in _expand(origin, version.tls, answers)]
    return tuple(dict.fromkeys(found))


def _expand(origin: Origin, tls: UpstreamTlsConfig | None, answers: Answers) -> list[Endpoint]:
    spoken = secure(origin.host, tls) if origin.scheme == "https" else None
    if not is_resolved(origin.host):
        return [Endpoint(origin.host, origin.port, tls=spoken)]
    return [Endpoint(address, origin.port, origin.host, spoken) for address in answers.get(origin.host, ())]


def usable(
    route: RouteConfig, answers: Answers, unhealthy: Set[Endpoint], *, off: bool = False
) -> tuple[tuple[Endpoint, ...], ...]:
    """The endpoints of stable and canary that requests may go to; none of a canary that there is not.

    A version whose endpoints are all unhealthy has none, so that the other one stands in. Without a stand-in
    they are all used: where a health check is the only thing that is broken, trying them beats a certain 503. A canary
    that is `off` stands in for nothing.
    """
    stable = endpoints_of(route.stable, answers)
    canary = () if route.canary is None else endpoints_of(route.canary, answers)
    healthy = [tuple(one for one in side if one not in unhealthy) for side in (stable, canary)]
    stands_in = "stable" in route.fallback and healthy[1] and not off
    return healthy[0] or (() if stands_in else stable), healthy[1]


def which(canary: VersionConfig | None) -> tuple[tuple[Origin, ...], str]:
    """What makes it this canary and not another one; nothing where there is none."""
    return ((), "") if canary is None else (canary.origins, canary.version)
