"""Config to routing table: the user's words to the machine's, and the only place a weight comes from.

Pure. Traffic is a function of state: whoever wants another weight changes the state and compiles anew,
nothing ever edits a table.
"""

from collections.abc import Mapping, Set
from types import MappingProxyType

from canaryproxy.config import Config
from canaryproxy.config.certificate import identity
from canaryproxy.config.route import RouteConfig, VersionConfig
from canaryproxy.config.schema import ListenerTlsConfig
from canaryproxy.control.endpoints import Answers, usable
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version, VersionName

NO_ANSWERS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def compile_table(
    config: Config, generation: int, answers: Answers = NO_ANSWERS, unhealthy: Set[Endpoint] = frozenset()
) -> RoutingTable:
    """The table of a config, of what its names mean now and which endpoints are ill. Routes keep their order."""
    routes = [_route(name, route, answers, unhealthy) for name, route in config.routes.items()]
    return RoutingTable(generation, tuple(routes))


def _route(name: str, route: RouteConfig, answers: Answers, unhealthy: Set[Endpoint]) -> Route:
    stable, canary = usable(route, answers, unhealthy)
    return Route(
        name=name,
        stable=_version("stable", route.stable, stable),
        canary=_version("canary", route.canary, canary),
        weight=route.weight,
        hosts=route.hosts,
        paths=route.paths,
        add_version=route.headers.add_version,
        rules=route.exceptions,
        affinity=route.affinity,
        fallback=route.fallback,
        upgrades=route.upgrades,
    )


def _version(name: VersionName, version: VersionConfig, endpoints: tuple[Endpoint, ...]) -> Version:
    return Version(
        name=name,
        endpoints=endpoints,
        connect_timeout=version.connect_timeout,
        response_timeout=version.response_timeout,
        keep_alive=version.keep_alive,
        max_in_flight=version.max_in_flight,
    )


def plane_settings(config: Config) -> PlaneSettings:
    """What the data plane is told once, at start: a change here needs a restart."""
    limits, timeouts = config.server.limits, config.server.timeouts
    return PlaneSettings(
        limits=Limits(
            max_connections=limits.max_connections,
            header_bytes=limits.header_bytes,
            headers=limits.headers,
            uri_bytes=limits.uri_bytes,
            body_bytes=limits.body_bytes,
        ),
        timeouts=Timeouts(
            header=timeouts.header,
            keep_alive=timeouts.keep_alive,
            body_idle=timeouts.body_idle,
            half_close=timeouts.half_close,
            drain=timeouts.drain,
            tunnel_idle=timeouts.tunnel_idle,
            abort_drain=timeouts.abort_drain,
        ),
        trusted_proxies=config.server.trusted_proxies,
    )


def listen_addresses(config: Config) -> tuple[tuple[str, int], ...]:
    """(IP address, port) of every listener in the order of the file; port 0 lets the system choose."""
    return tuple((listener.address.host, listener.address.port) for listener in config.server.listen)


def certificates(config: Config) -> list[ListenerTls | None]:
    """What every listener answers TLS handshakes with, in the order of the file; None for a plain one."""
    return [None if listener.tls is None else _listener_tls(listener.tls) for listener in config.server.listen]


def _listener_tls(tls: ListenerTlsConfig) -> ListenerTls:
    client_ca = b"" if tls.client_ca is None else tls.client_ca.content
    return ListenerTls(tuple(identity(one.cert, one.key) for one in tls.certs), client_ca)
