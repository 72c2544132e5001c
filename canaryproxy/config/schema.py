"""The schema of the config: its keys, their meaning and their defaults. The only home of pydantic.

Strict, and nothing extra. Every leaf is read by a pure function (`quantity`, `address`, `match`) that
raises `Wrong`; pydantic walks the tree and gathers what they raise, and `validate` hands it on as
`Fault`s in words of our own. The descriptions here are the text of `docs/configuration.md`. Each model
lists in `PLANNED` the keys of the contract that later versions bring; they are refused, kindly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from canaryproxy.config.address import Address, listen_address, network, origin
from canaryproxy.config.lists import any_number, listeners, one_or_more
from canaryproxy.config.match import host_pattern, path_prefix, route_name
from canaryproxy.config.problem import Loc, Wrong
from canaryproxy.config.quantity import (
    count,
    duration,
    duration_text,
    percent,
    percent_text,
    size,
    size_or_none,
    size_text,
    switch,
)
from canaryproxy.model import settings
from canaryproxy.model.settings import Network
from canaryproxy.model.table import Endpoint, Version

_HOUR = 3600
_DAY = 24 * _HOUR
_KIB = 1024
_LIMITS = settings.Limits()
_TIMEOUTS = settings.Timeouts()
_VERSION = Version("stable", (Endpoint("localhost", 80),))

VERSION_EXPECTED = "expected a URL such as http://localhost:9001, or a mapping with `url` and timeouts"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a value of this kind is written in a config, for the reference."""

    text: Callable[..., str]


Instant = Annotated[float, PlainValidator(duration(0.001, 600)), Shown(duration_text)]
Wait = Annotated[float, PlainValidator(duration(0.001, _DAY)), Shown(duration_text)]
Grace = Annotated[float, PlainValidator(duration(0, _DAY)), Shown(duration_text)]
Count = Annotated[int, PlainValidator(count(1, 1_000_000)), Shown(str)]
FieldCount = Annotated[int, PlainValidator(count(1, 10_000)), Shown(str)]
HeadSize = Annotated[int, PlainValidator(size(_KIB, 16 * _KIB**2)), Shown(size_text)]
TargetSize = Annotated[int, PlainValidator(size(64, _KIB**2)), Shown(size_text)]
BodySize = Annotated[int | None, PlainValidator(size_or_none(1, 2**40)), Shown(size_text)]
Percent = Annotated[int, PlainValidator(percent), Shown(percent_text)]
Switch = Annotated[bool, PlainValidator(switch), Shown(lambda value: str(value).lower())]
Origin = Annotated[Endpoint, PlainValidator(origin)]
Listen = Annotated[Address, PlainValidator(listen_address), Shown(str)]
Trusted = Annotated[Network, PlainValidator(network)]
HostPattern = Annotated[str, PlainValidator(host_pattern)]
PathPrefix = Annotated[str, PlainValidator(path_prefix)]
RouteName = Annotated[str, PlainValidator(route_name)]


class _Section(BaseModel):
    """A mapping of the config. `PLANNED` maps keys not built yet to what they will do."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
    PLANNED: ClassVar[dict[str, str]] = {}


class ListenerConfig(_Section):
    """One address that takes requests."""

    PLANNED = {"tls": "certificates for HTTPS", "proxy_protocol": "the PROXY protocol of load balancers"}

    address: Listen = Field(
        description="IP address and port. `:8080` means every IPv4 address; an IPv6 address stands in brackets; "
        "port 0 lets the system choose a free one. Names are not resolved.",
        examples=["0.0.0.0:8080"],
    )


class LimitsConfig(_Section):
    """What a client may ask of us before it is refused."""

    max_connections: Count = Field(
        default=_LIMITS.max_connections,
        description="Client connections open at the same time. A further one is answered 503 and closed.",
        examples=["20000"],
    )
    header_bytes: HeadSize = Field(
        default=_LIMITS.header_bytes,
        description="Size of a request's head, its first line and all fields. A larger one is answered 431.",
        examples=["32KiB"],
    )
    headers: FieldCount = Field(
        default=_LIMITS.headers,
        description="Number of fields in a request's head. A request with more is answered 431.",
        examples=["60"],
    )
    uri_bytes: TargetSize = Field(
        default=_LIMITS.uri_bytes,
        description="Length of the request target. A longer one is answered 414.",
        examples=["4KiB"],
    )
    body_bytes: BodySize = Field(
        default=_LIMITS.body_bytes,
        description="Size of a request body; `none` or `off` means any. A larger one is answered 413.",
        examples=["10MiB"],
    )


class TimeoutsConfig(_Section):
    """How long clients are waited for. Kept to within half a second, never early."""

    PLANNED = {"abort_drain": "how long tunnels of an aborted canary may stay"}

    header: Instant = Field(
        default=_TIMEOUTS.header,
        description="From a connection's or request's first moment to its complete head. Then 408.",
        examples=["5s"],
    )
    keep_alive: Wait = Field(
        default=_TIMEOUTS.keep_alive,
        description="How long an idle client connection stays open for its next request.",
        examples=["75s"],
    )
    body_idle: Wait = Field(
        default=_TIMEOUTS.body_idle,
        description="Longest pause while a request body arrives, or while a client takes no response bytes.",
        examples=["10s"],
    )
    half_close: Grace = Field(
        default=_TIMEOUTS.half_close,
        description="How long an answer is still delivered after the client has closed its sending side. "
        "0 cuts at once.",
        examples=["2s"],
    )
    drain: Grace = Field(
        default=_TIMEOUTS.drain,
        description="On shutdown: how long open requests may finish. 0 cuts them at once.",
        examples=["25s"],
    )


class ServerConfig(_Section):
    """What the process itself needs. Changes here need a restart."""

    PLANNED = {
        "admin": "the admin API and dashboard",
        "probes": "health and metrics for kubelet and Prometheus",
        "workers": "several worker processes",
        "state": "where rollouts are remembered",
        "access_log": "one line per request",
    }

    listen: Annotated[tuple[ListenerConfig, ...], BeforeValidator(listeners)] = Field(
        default=(ListenerConfig.model_construct(address=Address("127.0.0.1", 8080)),),
        description="Where requests come in: one address, or a list of `{address: ...}`. "
        "Two listeners may not overlap.",
        examples=["0.0.0.0:8080"],
    )
    trusted_proxies: Annotated[tuple[Trusted, ...], BeforeValidator(any_number)] = Field(
        default=(),
        description="Networks of proxies in front of us. Their `X-Forwarded-*` fields are believed and extended; "
        "anyone else's are replaced.",
        examples=["[10.0.0.0/8, 192.0.2.7]"],
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="See `server.limits` below.")
    timeouts: TimeoutsConfig = Field(default=TimeoutsConfig(), description="See `server.timeouts` below.")


class VersionConfig(_Section):
    """One side of the split. Short form: the URL alone."""

    PLANNED = {
        "endpoints": "several endpoints of one version",
        "health": "active health checks",
        "max_in_flight": "a bound on open requests",
        "tls": "HTTPS to the upstream",
    }

    url: Origin = Field(
        description="`http://host[:port]`, port 80 unless given. No path: requests keep their own.",
        examples=["http://shop-canary:8080"],
    )
    connect_timeout: Instant = Field(
        default=_VERSION.connect_timeout,
        description="Longest time to open a connection. Then 504.",
        examples=["500ms"],
    )
    response_timeout: Wait = Field(
        default=_VERSION.response_timeout,
        description="Longest time from the request to the response head, and then between response bytes. Then 504.",
        examples=["2m"],
    )
    keep_alive: Wait = Field(
        default=_VERSION.keep_alive,
        description="How long an idle upstream connection is kept for reuse. Stay below the upstream's own limit.",
        examples=["55s"],
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"url": value}
        if not isinstance(value, dict):
            raise Wrong(VERSION_EXPECTED)
        return value


class HeadersConfig(_Section):
    """Header fields that we add."""

    add_version: Switch = Field(
        default=False,
        description="Tell the upstream and the client which version was chosen: `X-Canary-Version: stable` or "
        "`canary`.",
        examples=["true"],
    )


class RouteConfig(_Section):
    """A host + path entry with one stable and one canary version. Changes apply to the next request."""

    PLANNED = {
        "rules": "exceptions by header, cookie, path or source",
        "affinity": "keeping a client on its version",
        "mirror": "copies of requests to the canary",
        "shield": "stable answering for a failed canary attempt",
        "fallback": "stable answering while no canary is reachable",
        "goals": "business events",
        "rollout": "ramping by itself",
        "analysis": "judging the canary",
    }

    hosts: Annotated[tuple[HostPattern, ...], BeforeValidator(one_or_more)] = Field(
        default=(),
        description="Hosts this route answers for, whatever the port: exact names, or `*.example.com` for every name "
        "below it. The most specific host wins, before any path is looked at. Case and a trailing dot make no "
        "difference. Left out: any host that no other route names.",
        examples=['[shop.example.com, "*.shop.example.com"]'],
    )
    paths: Annotated[tuple[PathPrefix, ...], BeforeValidator(one_or_more)] = Field(
        default=("/",),
        description="Path prefixes by whole segments: `/api` is met by `/api` and `/api/x`, not by `/apix`. "
        "The longest wins. A trailing slash makes no difference.",
        examples=["[/cart, /checkout]"],
    )
    stable: VersionConfig = Field(
        description="The version that everyone gets who is not sent to the canary.",
        examples=["http://shop-stable:8080"],
    )
    canary: VersionConfig = Field(
        description="The version on trial.",
        examples=["http://shop-canary:8080"],
    )
    weight: Percent = Field(
        0,
        description="Percentage of requests sent to the canary: a number from 0 to 100 with at most two decimals, "
        "or text like `0.25%`.",
        examples=["5"],
    )
    headers: HeadersConfig = Field(default=HeadersConfig(), description="See `routes.<name>.headers` below.")


class Config(_Section):
    """The whole config: what the process needs, and the routes."""

    server: ServerConfig = Field(default=ServerConfig(), description="See `server` below.")
    routes: dict[RouteName, RouteConfig] = Field(
        description="Routes by name: 1 to 63 of `a-z 0-9 _ . -`, beginning with a letter or digit. "
        "No two may claim the same host and path.",
    )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and yet worth a second look, one sentence each."""
        found = [
            f"routes.{name}: stable and canary are the same endpoint, {route.stable.url.authority}"
            for name, route in self.routes.items()
            if route.stable.url == route.canary.url
        ]
        found += [
            f"server.trusted_proxies: {trusted} trusts everyone to say who the client is"
            for trusted in self.server.trusted_proxies
            if trusted.prefixlen == 0
        ]
        limits = self.server.limits
        if limits.uri_bytes > limits.header_bytes:
            found.append("server.limits: uri_bytes is never reached, header_bytes is smaller and includes the target")
        return tuple(found)


SECTIONS: dict[Loc, type[_Section]] = {
    (): Config,
    ("server",): ServerConfig,
    ("server", "listen", "*"): ListenerConfig,
    ("server", "limits"): LimitsConfig,
    ("server", "timeouts"): TimeoutsConfig,
    ("routes", "*"): RouteConfig,
    ("routes", "*", "stable"): VersionConfig,
    ("routes", "*", "canary"): VersionConfig,
    ("routes", "*", "headers"): HeadersConfig,
}
"""Every mapping of the config by its path; `*` stands for a route's name or a list's index."""


class Fault(NamedTuple):
    """What the schema found at a path. `wrong` is set for the kind `value` alone."""

    loc: Loc
    kind: Literal["value", "missing", "unknown", "mapping"]
    wrong: Wrong | None = None


class Rejected(Exception):
    """The tree is not a config: every fault in it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def validate(tree: object) -> Config:
    """A `Config` of a plain tree in the full form (`server`, `routes`). Raises `Rejected`."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise Rejected(tuple(_fault(item["type"], item["loc"], item.get("ctx", {})) for item in found))


def _fault(kind: str, loc: Loc, context: dict[str, object]) -> Fault:
    wrong = context.get("error")
    if isinstance(wrong, Wrong):
        of_key = loc[-1] == "[key]" and loc[0] == "routes"
        return Fault(loc[:-1] if of_key else loc, "value", wrong)
    if kind == "missing":
        return Fault(loc, "missing")
    return Fault(loc, "unknown" if kind == "extra_forbidden" else "mapping")
