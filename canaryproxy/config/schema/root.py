"""The schema of the config: its keys, their meaning and their defaults. With `section`, the only home of pydantic.

Strict, and nothing extra. `validate` hands on what is wrong as `SchemaFault`s in words of our own. The descriptions
here are the text of `docs/configuration.md`.
"""

import time
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from canaryproxy.config.certificate_expiry import complaints
from canaryproxy.config.problems import InvalidValueError, Loc
from canaryproxy.config.schema.admin import (
    AccessLogConfig,
    AdminConfig,
    LogConfig,
    MetricsConfig,
    ProbesConfig,
    TokenConfig,
)
from canaryproxy.config.schema.analysis import (
    AnalysisConfig,
    ErrorsConfig,
    ExcludeConfig,
    HardLimitConfig,
    JudgedGoalConfig,
    LatencyConfig,
    RefusalsConfig,
)
from canaryproxy.config.schema.goals import GoalConfig
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.hooks import HookConfig, NotifyConfig
from canaryproxy.config.schema.limits import LimitsConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.route import HeadersConfig, RouteConfig, VersionConfig
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.schema.safety import MirrorConfig, ShieldConfig
from canaryproxy.config.schema.section import (
    Duration,
    ForwardedFamily,
    ForwardedName,
    Listen,
    LongDuration,
    LongDurationOrNever,
    Pem,
    RouteName,
    Section,
    ShortDuration,
    StatePath,
    Switch,
    Trusted,
    WorkerCount,
    none_if_off,
)
from canaryproxy.config.schema.sources import CheckConfig, ResourceConfig
from canaryproxy.config.types.address import Address
from canaryproxy.config.types.affinity import apart
from canaryproxy.config.types.certificate import certificates, identity
from canaryproxy.config.types.sequence import listeners, non_empty_sequence, sequence
from canaryproxy.model import settings
from canaryproxy.model.forwarded import Forwarding

TIMEOUTS = settings.Timeouts()


class CertConfig(Section):
    """A certificate with its key."""

    cert: Pem = Field(
        description="File with the certificate and the chain below it, PEM. Its DNS names say which clients get it "
        "(SNI).",
        examples=["/etc/tls/tls.crt"],
    )
    key: Pem = Field(description="File with its private key, PEM, without a passphrase.", examples=["/etc/tls/tls.key"])

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        identity(self.cert, self.key)
        return self


class ListenerTlsConfig(Section):
    """HTTPS on a listener. The files' contents are reloaded live."""

    certs: Annotated[tuple[CertConfig, ...], BeforeValidator(non_empty_sequence)] = Field(
        description="Certificates; the first one serves clients that ask for no name or an unknown one.",
        examples=["[{cert: /etc/tls/tls.crt, key: /etc/tls/tls.key}]"],
    )
    client_ca: Pem | None = Field(
        default=None,
        description="File with authorities, PEM. Then clients must show a certificate that one of them has signed.",
        examples=["/etc/tls/client-ca.crt"],
    )

    @model_validator(mode="after")
    def _authorities(self) -> Self:
        if self.client_ca is not None:
            certificates(self.client_ca)
        return self


class ListenerConfig(Section):
    """One address that takes requests."""

    address: Listen = Field(
        description="IP address and port. `:8080` means every address of this machine, IPv4 and IPv6 (only IPv4 where "
        "the system has no IPv6); `0.0.0.0:8080` every IPv4 address; `[::]:8080` every IPv6 address and no IPv4, "
        "whatever `net.ipv6.bindv6only` says. An IPv6 address stands in brackets. Port 0 lets the system choose a "
        "free one. Names are not resolved. A client that comes by IPv4 has its IPv4 address everywhere, never "
        "`::ffff:192.0.2.7`.",
        examples=["0.0.0.0:8080"],
    )
    tls: ListenerTlsConfig | None = Field(default=None, description="HTTPS. See `server.listen[].tls` below.")
    proxy_protocol: Switch = Field(
        default=False,
        description="Connections from `trusted_proxies` begin with a PROXY protocol header, version 1 or 2, which "
        "says who the client is. Anyone else is served as an ordinary client.",
        examples=["true"],
    )


class TimeoutsConfig(Section):
    """How long clients are waited for. Kept to within half a second, never early."""

    header: ShortDuration = Field(
        default=TIMEOUTS.header,
        description="From a connection's or request's first moment to its complete head. Then 408.",
        examples=["5s"],
    )
    keep_alive: Duration = Field(
        default=TIMEOUTS.keep_alive,
        description="How long an idle client connection stays open for its next request.",
        examples=["75s"],
    )
    body_idle: Duration = Field(
        default=TIMEOUTS.body_idle,
        description="Longest pause while a request body arrives, or while a client takes no response bytes.",
        examples=["10s"],
    )
    half_close: LongDuration = Field(
        default=TIMEOUTS.half_close,
        description="How long an answer is still delivered after the client has closed its sending side. "
        "0 cuts at once.",
        examples=["2s"],
    )
    drain: LongDuration = Field(
        default=TIMEOUTS.drain,
        description="On shutdown: how long open requests may finish. 0 ends them at once.",
        examples=["25s"],
    )
    tunnel_idle: Duration = Field(
        default=TIMEOUTS.tunnel_idle,
        description="How long a tunnel (WebSocket) may be silent in both directions before it is closed.",
        examples=["10m"],
    )
    abort_drain: LongDurationOrNever = Field(
        default=TIMEOUTS.abort_drain,
        description="When a canary is aborted: how long its open tunnels and responses may go on before they are cut. "
        "What has no answer yet is then asked of stable, if it may be repeated.",
        examples=["30s"],
    )


class ServerConfig(Section):
    """What the process itself needs. Changes here need a restart."""

    listen: Annotated[tuple[ListenerConfig, ...], BeforeValidator(listeners)] = Field(
        default=(ListenerConfig.model_construct(address=Address("127.0.0.1", 8080)),),
        description="Where requests come in: one address, or a list of `{address: ...}`. "
        "Two listeners may not overlap.",
        examples=["0.0.0.0:8080"],
    )
    trusted_proxies: Annotated[tuple[Trusted, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Networks of proxies in front of us. What they say of the client in the fields that `forwarded` "
        "names is believed and extended; what anyone else says is replaced.",
        examples=["[10.0.0.0/8, 192.0.2.7]"],
    )
    forwarded: ForwardedFamily = Field(
        default="x-forwarded",
        description="What `trusted_proxies` write: `x-forwarded` (`X-Forwarded-For`, `-Proto`, `-Host` and more) or "
        "`rfc7239` (`Forwarded`). Only these fields are read; whatever came in of the other kind is dropped, since "
        "many balancers pass on what a client wrote there. `X-Forwarded-For`, `-Proto` and `-Host` are written in any "
        "case, `Forwarded` with `rfc7239` alone.",
        examples=["rfc7239"],
    )
    forwarded_allowed: Annotated[tuple[ForwardedName, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Further `X-Forwarded-*` fields that pass from anyone, clients included. All that are not named "
        "here are dropped unless a trusted proxy sent them and `forwarded` is `x-forwarded`.",
        examples=["[x-forwarded-prefix]"],
    )
    admin: Annotated[AdminConfig | None, BeforeValidator(none_if_off)] = Field(
        default=AdminConfig(), description="The admin API, or `off`. See `server.admin` below."
    )
    probes: Annotated[ProbesConfig | None, BeforeValidator(none_if_off)] = Field(
        default=None, description="A second listener for health and metrics, or `none`. See `server.probes` below."
    )
    workers: WorkerCount = Field(
        default=None,
        description="Processes that serve requests. `auto`: as many as CPUs that may be used here, container limits "
        "respected.",
        examples=["4"],
    )
    state: StatePath = Field(
        default="./canaryproxy.db",
        description="Regular file that remembers what was changed over the API, and by whom; made if it is missing. A "
        "relative path counts from the directory that `STATE_DIRECTORY` names (systemd's `StateDirectory=` and the "
        "image set it), else from the working directory. `memory`: forget it when the process ends.",
        examples=["/var/lib/canaryproxy/state.db"],
    )
    metrics: MetricsConfig = Field(default=MetricsConfig(), description="See `server.metrics` below.")
    log: LogConfig = Field(default=LogConfig(), description="See `server.log` below.")
    access_log: Annotated[AccessLogConfig | None, BeforeValidator(none_if_off)] = Field(
        default=None, description="`off`, or see `server.access_log` below."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="See `server.limits` below.")
    timeouts: TimeoutsConfig = Field(default=TimeoutsConfig(), description="See `server.timeouts` below.")

    @property
    def forwarding(self) -> Forwarding:
        """Which fields about earlier hops are believed."""
        return Forwarding(self.forwarded, self.forwarded_allowed)

    @property
    def lasting(self) -> str:
        """Everything that a running process cannot take over: all but tokens and the contents of files."""
        admin = None if self.admin is None else (self.admin.listen, self.admin.auth)
        return repr((admin, self.model_copy(update={"admin": None})))

    @model_validator(mode="after")
    def _proxy_protocol_needs_trust(self) -> Self:
        if any(listener.proxy_protocol for listener in self.listen) and not self.trusted_proxies:
            found = "`proxy_protocol: true` without `trusted_proxies`"
            raise InvalidValueError(
                "name the networks of the load balancers: trusted_proxies: [10.0.0.0/8]", found=found
            )
        return self


class Config(Section):
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
            f"routes.{name}: stable and canary are the same endpoint, {route.stable.origins[0].authority}"
            for name, route in self.routes.items()
            if route.canary is not None and route.stable.origins == route.canary.origins
        ]
        found += [f"routes.{name}.{warning}" for name, route in self.routes.items() for warning in route.warnings]
        found += apart({name: (route.affinity, route.weight) for name, route in self.routes.items()})
        found += [one.words for one in complaints(self, time.time())]  # noqa: TID251 - what is true now
        found += [
            f"server.trusted_proxies: {trusted} trusts everyone to say who the client is"
            for trusted in self.server.trusted_proxies
            if trusted.prefixlen == 0
        ]
        if self.server.admin is not None:
            found += [f"server.admin: {words}" for words in self.server.admin.warnings]
        limits = self.server.limits
        if limits.uri_bytes > limits.header_bytes:
            found.append("server.limits: uri_bytes is never reached, header_bytes is smaller and includes the target")
        return tuple(found)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files whose contents are part of this config."""
        listeners = [listener.tls for listener in self.server.listen if listener.tls is not None]
        sides = [side.tls for route in self.routes.values() for side in route.sides if side.tls]
        pems = [tls.client_ca for tls in listeners] + [pem for tls in sides for pem in (tls.ca, tls.cert, tls.key)]
        pems += [pem for tls in listeners for one in tls.certs for pem in (one.cert, one.key)]
        tokens = () if self.server.admin is None else self.server.admin.files
        judged = [path for route in self.routes.values() if route.analysis for path in route.analysis.files]
        called = [path for route in self.routes.values() for path in route.rollout.files]
        healths = [side.health for route in self.routes.values() for side in route.sides]
        called += [path for health in healths if health is not None for path in health.files]
        return tuple(dict.fromkeys((*(pem.path for pem in pems if pem is not None), *tokens, *judged, *called)))


SECTIONS: dict[Loc, type[Section]] = {
    (): Config,
    ("server",): ServerConfig,
    ("server", "listen", "*"): ListenerConfig,
    ("server", "listen", "*", "tls"): ListenerTlsConfig,
    ("server", "listen", "*", "tls", "certs", "*"): CertConfig,
    ("server", "admin"): AdminConfig,
    ("server", "admin", "tokens", "*"): TokenConfig,
    ("server", "probes"): ProbesConfig,
    ("server", "metrics"): MetricsConfig,
    ("server", "log"): LogConfig,
    ("server", "access_log"): AccessLogConfig,
    ("server", "limits"): LimitsConfig,
    ("server", "timeouts"): TimeoutsConfig,
    ("routes", "*"): RouteConfig,
    ("routes", "*", "stable"): VersionConfig,
    ("routes", "*", "canary"): VersionConfig,
    ("routes", "*", "stable", "health"): HealthConfig,
    ("routes", "*", "canary", "health"): HealthConfig,
    ("routes", "*", "stable", "tls"): UpstreamTlsConfig,
    ("routes", "*", "canary", "tls"): UpstreamTlsConfig,
    ("routes", "*", "rules", "*"): RuleConfig,
    ("routes", "*", "mirror"): MirrorConfig,
    ("routes", "*", "shield"): ShieldConfig,
    ("routes", "*", "goals", "*"): GoalConfig,
    ("routes", "*", "headers"): HeadersConfig,
    ("routes", "*", "analysis"): AnalysisConfig,
    ("routes", "*", "analysis", "errors"): ErrorsConfig,
    ("routes", "*", "analysis", "latency"): LatencyConfig,
    ("routes", "*", "analysis", "refusals"): RefusalsConfig,
    ("routes", "*", "analysis", "goals", "*"): JudgedGoalConfig,
    ("routes", "*", "analysis", "resources", "*"): ResourceConfig,
    ("routes", "*", "analysis", "resources", "*", "tls"): UpstreamTlsConfig,
    ("routes", "*", "analysis", "checks", "*"): CheckConfig,
    ("routes", "*", "analysis", "checks", "*", "tls"): UpstreamTlsConfig,
    ("routes", "*", "analysis", "limits"): HardLimitConfig,
    ("routes", "*", "analysis", "exclude"): ExcludeConfig,
    ("routes", "*", "rollout"): RolloutConfig,
    ("routes", "*", "rollout", "hooks", "*"): HookConfig,
    ("routes", "*", "rollout", "hooks", "*", "tls"): UpstreamTlsConfig,
    ("routes", "*", "rollout", "notify"): NotifyConfig,
    ("routes", "*", "rollout", "notify", "tls"): UpstreamTlsConfig,
}
"""Every mapping of the config by its path; `*` stands for a route's name or a list's index."""


class SchemaFault(NamedTuple):
    """What the schema found at a path. `wrong` is set for the kind `value` alone."""

    loc: Loc
    kind: Literal["value", "missing", "unknown", "mapping"]
    wrong: InvalidValueError | None = None


class SchemaError(Exception):
    """The tree is not a config: every fault in it."""

    def __init__(self, faults: tuple[SchemaFault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def validate(tree: object) -> Config:
    """A `Config` of a plain tree in the full form (`server`, `routes`). Raises `SchemaError`."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise SchemaError(tuple(_fault(item["type"], item["loc"], item.get("ctx", {})) for item in found))


def _fault(kind: str, loc: Loc, context: dict[str, object]) -> SchemaFault:
    wrong = context.get("error")
    if isinstance(wrong, InvalidValueError):
        of_key = loc[-1] == "[key]" and loc[0] == "routes"
        return SchemaFault(loc[:-1] if of_key else loc, "value", wrong)
    if kind == "missing":
        return SchemaFault(loc, "missing")
    return SchemaFault(loc, "unknown" if kind == "extra_forbidden" else "mapping")
