"""Config to routing table: the user's words to the machine's, and the only place a weight comes from.

Pure. Traffic is a function of state: whoever wants another weight changes the state and compiles anew,
nothing ever edits a table.
"""

from canaryproxy.config import Config
from canaryproxy.config.schema import RouteConfig, VersionConfig
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from canaryproxy.model.table import Route, RoutingTable, Version, VersionName


def compile_table(config: Config, generation: int) -> RoutingTable:
    """The table of a config. Routes keep the order of the file."""
    return RoutingTable(generation, tuple(_route(name, route) for name, route in config.routes.items()))


def _route(name: str, route: RouteConfig) -> Route:
    return Route(
        name=name,
        stable=_version("stable", route.stable),
        canary=_version("canary", route.canary),
        weight=route.weight,
        hosts=route.hosts,
        paths=route.paths,
        add_version=route.headers.add_version,
    )


def _version(name: VersionName, version: VersionConfig) -> Version:
    return Version(
        name=name,
        endpoints=(version.url,),
        connect_timeout=version.connect_timeout,
        response_timeout=version.response_timeout,
        keep_alive=version.keep_alive,
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
        ),
        trusted_proxies=config.server.trusted_proxies,
    )


def listen_addresses(config: Config) -> tuple[tuple[str, int], ...]:
    """(IP address, port) of every listener in the order of the file; port 0 lets the system choose."""
    return tuple((listener.address.host, listener.address.port) for listener in config.server.listen)
