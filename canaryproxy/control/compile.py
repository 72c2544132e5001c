"""Compiles the config and the state of routes to routing tables: the only source of weights.

Pure. Traffic is a function of state: to change a weight, change the state and compile again. No table is ever modified.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import fields
from types import MappingProxyType
from typing import NamedTuple

from canaryproxy.config import Config
from canaryproxy.config.schema.rollout import WrittenStep
from canaryproxy.config.schema.root import ListenerTlsConfig
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.types.certificate import identity
from canaryproxy.control.state import RouteState, State
from canaryproxy.ipc.messages import AccessLog, ListenerSettings, Publication, WorkerConfig
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.settings import Limits, PlaneSettings, Timeouts
from canaryproxy.model.table import Endpoint, Route, RoutingTable, Version, VersionName
from canaryproxy.probes.endpoints import Answers, usable

NO_ANSWERS: Mapping[str, tuple[str, ...]] = MappingProxyType({})
NO_STATE: State = MappingProxyType({})


def compile_table(
    config: Config,
    generation: int,
    answers: Answers = NO_ANSWERS,
    unhealthy: Set[Endpoint] = frozenset(),
    state: State = NO_STATE,
    known: "KnownRoutes | None" = None,
    workers: int = 1,
) -> RoutingTable:
    """The table of a config, the changed state of its routes, DNS answers and unhealthy endpoints.

    Routes keep their order. Without a `state` the config's own weights and rules apply. `known` caches compiled routes
    by their inputs, so that a change costs what has changed. Limits on exchanges are divided by the number of
    `workers`, each of which gets the same table.
    """
    known = {} if known is None else known
    for gone in known.keys() - config.routes.keys():
        del known[gone]
    routes: list[Route] = []
    for name, route in config.routes.items():
        origins = [origin for side in route.sides for origin in side.origins]
        inputs = Inputs(route, state.get(name), tuple(answers.get(origin.host) for origin in origins), unhealthy)
        before = known.get(name)
        if before is None or not inputs.same(before[0]):
            before = known[name] = inputs, _route(name, route, answers, unhealthy, inputs.state, workers)
        routes.append(before[1])
    return RoutingTable(generation, tuple(routes))


class Inputs(NamedTuple):
    """Everything a route is compiled from."""

    route: RouteConfig
    state: RouteState | None
    addresses: tuple[tuple[str, ...] | None, ...]
    unhealthy: Set[Endpoint]

    def same(self, other: "Inputs") -> bool:
        """Whether both compile to the same route."""
        return self.route is other.route and self.state is other.state and self[2:] == other[2:]


KnownRoutes = dict[str, tuple[Inputs, Route]]


def _route(
    name: str, route: RouteConfig, answers: Answers, unhealthy: Set[Endpoint], state: RouteState | None, workers: int
) -> Route:
    with_canary = route.canary is not None
    off = state is not None and state.off and with_canary
    stable, canary = usable(route, answers, unhealthy, off=off)
    rules = None if state is None else state.rules
    exceptions = route.exceptions if rules is None else rules.exceptions
    if not with_canary:
        exceptions = tuple(rule for rule in exceptions if not rule.reaches_canary)
    mirror = route.mirror.mirror if route.mirror is not None and with_canary else None
    extras = _extras(route, state) if state is not None and with_canary else None
    if extras is not None:
        names = {rule.name for rule in extras.rules.rules}
        exceptions = (*extras.rules.exceptions, *(rule for rule in exceptions if rule.name not in names))
        mirror = extras.mirror or mirror
    return Route(
        name=name,
        stable=_version("stable", route.stable, stable, workers),
        canary=None if route.canary is None else _version("canary", route.canary, canary, workers),
        weight=route.weight if state is None else state.weight,
        hosts=route.hosts,
        paths=route.paths,
        add_version=route.headers.add_version,
        rules=exceptions,
        affinity=route.affinity if with_canary else None,
        fallback=route.fallback,
        upgrades=route.upgrades,
        salt="" if route.affinity is None else route.affinity.salt,
        caching=route.headers.caching,
        shield=route.shield.shield if route.shield is not None and with_canary else None,
        mirror=mirror,
        goals=route.events,
        excluded=route.excluded,
        aborted=off,
    )


def _extras(route: RouteConfig, state: RouteState) -> WrittenStep | None:
    """The rules and the mirror of the current rollout step."""
    rollout = state.rollout
    if rollout.phase not in ("progressing", "paused") or rollout.step is None:
        return None
    return route.rollout.extras(rollout.steps[rollout.step].weight)


def _version(name: VersionName, version: VersionConfig, endpoints: tuple[Endpoint, ...], workers: int) -> Version:
    limit = None if version.max_in_flight is None else math.ceil(version.max_in_flight / workers)
    timeouts = version.connect_timeout, version.response_timeout, version.keep_alive
    return Version(name, endpoints, *timeouts, limit)


def plane_settings(config: Config) -> PlaneSettings:
    """The settings of the data plane, sent once at start: a change takes a restart."""
    server = config.server
    limits = Limits(**{one.name: getattr(server.limits, one.name) for one in fields(Limits)})
    timeouts = Timeouts(**{one.name: getattr(server.timeouts, one.name) for one in fields(Timeouts)})
    return PlaneSettings(limits, timeouts, server.trusted_proxies, server.forwarding)


def worker_config(config: Config, slot: int, slots: int, identity: str, secret: bytes = b"") -> WorkerConfig:
    """The first message to the worker of a slot, without its table. `secret` keys the hashes of users."""
    server = config.server
    log = server.access_log
    settings = plane_settings(config)
    listeners = zip(certificates(config), server.listen, strict=True)
    return WorkerConfig(
        slot=slot,
        slots=slots,
        identity=identity,
        secret=secret,
        limits=settings.limits,
        timeouts=settings.timeouts,
        trusted=tuple(map(str, settings.trusted_proxies)),
        forwarding=settings.forwarding,
        listeners=tuple(ListenerSettings(tls, listener.proxy_protocol) for tls, listener in listeners),
        access_log=None if log is None else AccessLog(log.path, log.format),
        table=Publication(0, ()),
    )


def listen_addresses(config: Config) -> tuple[tuple[str, int], ...]:
    """(IP address, port) of every listener in the order of the file; port 0 lets the system choose."""
    return tuple((listener.address.host, listener.address.port) for listener in config.server.listen)


def certificates(config: Config) -> list[ListenerTls | None]:
    """The certificates of every listener in the order of the file; None for one without TLS."""
    return [None if listener.tls is None else _listener_tls(listener.tls) for listener in config.server.listen]


def _listener_tls(tls: ListenerTlsConfig) -> ListenerTls:
    client_ca = b"" if tls.client_ca is None else tls.client_ca.content
    return ListenerTls(tuple(identity(one.cert, one.key) for one in tls.certs), client_ca)
