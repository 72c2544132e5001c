"""The top sections of the config, and the validation of a whole config.

The schema is strict: unknown keys are errors. `validate` reports faults as `SchemaFault`s. Only `schema` and the
documents of the API use pydantic. The descriptions of the keys are the text of `docs/configuration.md`.
"""

import time
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from canaryproxy.config.certificate_expiry import CertificateUse, certificate_use, expiry_warnings
from canaryproxy.config.problems import InvalidValueError, Loc
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.admin import AccessLogConfig, AdminConfig, LogConfig, MetricsConfig, ProbesConfig
from canaryproxy.config.schema.limits import LimitsConfig, TimeoutsConfig
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.schema.section import Section, files_in, sections_in
from canaryproxy.config.types.address import Address
from canaryproxy.config.types.affinity import shared_salt_warnings
from canaryproxy.config.types.certificate import PemFile, certificates, identity
from canaryproxy.config.types.readers import listeners, non_empty_sequence, sequence
from canaryproxy.model.forwarded import Forwarding


class CertConfig(Section):
    """A certificate and its private key."""

    cert: leaves.Pem = Field(
        description="PEM file with the certificate, followed by its chain. Clients get it for its DNS names (SNI).",
        examples=["/etc/tls/tls.crt"],
    )
    key: leaves.Pem = Field(
        description="PEM file with the private key, without a passphrase.", examples=["/etc/tls/tls.key"]
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        identity(self.cert, self.key)
        return self


class ListenerTlsConfig(Section):
    """HTTPS on a listener. The contents of the files are reloaded live."""

    certs: Annotated[tuple[CertConfig, ...], BeforeValidator(non_empty_sequence)] = Field(
        description="Certificates. Clients that request no name or an unknown name get the first one.",
        examples=["[{cert: /etc/tls/tls.crt, key: /etc/tls/tls.key}]"],
    )
    client_ca: leaves.Pem | None = Field(
        default=None,
        description="PEM file with certificate authorities. If given, clients need a certificate that one of them "
        "signed.",
        examples=["/etc/tls/client-ca.crt"],
    )

    @model_validator(mode="after")
    def _authorities(self) -> Self:
        if self.client_ca is not None:
            certificates(self.client_ca)
        return self


class ListenerConfig(Section):
    """One listening address."""

    address: leaves.Listen = Field(
        description="IP address and port. `:8080`: all addresses of this machine, IPv4 and IPv6 (only IPv4 if the "
        "system has no IPv6). `0.0.0.0:8080`: all IPv4 addresses. `[::]:8080`: all IPv6 addresses and no IPv4 "
        "address, also if `net.ipv6.bindv6only` is 0. IPv6 addresses are written in brackets. With port 0 the system "
        "chooses a free port. Names are not resolved. The address of an IPv4 client is always shown as IPv4, never "
        "as `::ffff:192.0.2.7`.",
        examples=["0.0.0.0:8080"],
    )
    tls: ListenerTlsConfig | None = Field(
        default=None, description="Settings of HTTPS. See `server.listen[].tls` below."
    )
    proxy_protocol: leaves.Switch = Field(
        default=False,
        description="Connections from `trusted_proxies` begin with a PROXY protocol header, version 1 or 2, which "
        "contains the address of the client. Other connections are ordinary clients.",
        examples=["true"],
    )


class ServerConfig(Section):
    """Settings of the process. Changes need a restart."""

    listen: Annotated[tuple[ListenerConfig, ...], BeforeValidator(listeners)] = Field(
        default=(ListenerConfig.model_construct(address=Address("127.0.0.1", 8080)),),
        description="Listening addresses for requests: one address, or a list of `{address: ...}`. They must not "
        "overlap.",
        examples=["0.0.0.0:8080"],
    )
    trusted_proxies: Annotated[tuple[leaves.Trusted, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Networks of the proxies in front of canaryproxy. The header fields in which they forward the "
        "client address (see `forwarded`) are trusted and extended. From other clients these fields are replaced.",
        examples=["[10.0.0.0/8, 192.0.2.7]"],
    )
    forwarded: leaves.ForwardedFamily = Field(
        default="x-forwarded",
        description="Header fields that `trusted_proxies` write: `x-forwarded` (`X-Forwarded-For`, `-Proto`, `-Host` "
        "and more) or `rfc7239` (`Forwarded`). Fields of the other kind are removed, since many load balancers "
        "forward what a client wrote there. Requests to the upstream always have `X-Forwarded-For`, `-Proto` and "
        "`-Host`, and with `rfc7239` also `Forwarded`.",
        examples=["rfc7239"],
    )
    forwarded_allowed: Annotated[tuple[leaves.ForwardedName, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Additional `X-Forwarded-*` fields that are forwarded from all clients. Other such fields are "
        "removed, unless a trusted proxy sent them and `forwarded` is `x-forwarded`.",
        examples=["[x-forwarded-prefix]"],
    )
    admin: Annotated[AdminConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=AdminConfig(), description="The admin API, or `off`. See `server.admin` below."
    )
    probes: Annotated[ProbesConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=None, description="Separate listeners for health and metrics, or `none`. See `server.probes` below."
    )
    workers: leaves.WorkerCount = Field(
        default=None,
        description="Number of worker processes. `auto`: the number of CPUs that are available, within the limits of "
        "the container.",
        examples=["4"],
    )
    state: leaves.StatePath = Field(
        default="./canaryproxy.db",
        description="File that stores the state of rollouts, changes made over the API, and the history. It is "
        "created if it does not exist. A relative path is relative to the directory in `STATE_DIRECTORY` (set by "
        "`StateDirectory=` of systemd and by the image), else to the working directory. `memory`: the state is lost "
        "when the process ends.",
        examples=["/var/lib/canaryproxy/state.db"],
    )
    metrics: MetricsConfig = Field(default=MetricsConfig(), description="Metrics. See `server.metrics` below.")
    log: LogConfig = Field(default=LogConfig(), description="Log. See `server.log` below.")
    access_log: Annotated[AccessLogConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=None, description="Access log, or `off`. See `server.access_log` below."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="Limits for clients. See `server.limits` below.")
    timeouts: TimeoutsConfig = Field(
        default=TimeoutsConfig(), description="Timeouts for clients. See `server.timeouts` below."
    )

    @property
    def forwarding(self) -> Forwarding:
        """The forwarding fields that are trusted."""
        return Forwarding(self.forwarded, self.forwarded_allowed)

    @property
    def lasting(self) -> str:
        """All settings that need a restart, as text: everything except tokens and the contents of files."""
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
    """The whole config: settings of the process, and the routes."""

    server: ServerConfig = Field(default=ServerConfig(), description="Settings of the process. See `server` below.")
    routes: dict[leaves.RouteName, RouteConfig] = Field(
        description="Routes by name: 1 to 63 of `a-z 0-9 _ . -`, beginning with a letter or digit. "
        "Two routes must not have the same host and path."
    )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that are valid but probably a mistake, one sentence each."""
        found = [
            f"routes.{name}: stable and canary are the same endpoint, {route.stable.origins[0].authority}"
            for name, route in self.routes.items()
            if route.canary is not None and route.stable.origins == route.canary.origins
        ]
        found += [f"routes.{name}.{warning}" for name, route in self.routes.items() for warning in route.warnings]
        found += shared_salt_warnings({name: (route.affinity, route.weight) for name, route in self.routes.items()})
        found += [one.words for one in expiry_warnings(self.certificates, time.time())]  # noqa: TID251 - expiry today
        found += [
            f"server.trusted_proxies: with {trusted} any client can claim any address"
            for trusted in self.server.trusted_proxies
            if trusted.prefixlen == 0
        ]
        if self.server.admin is not None:
            found += [f"server.admin: {words}" for words in self.server.admin.warnings]
        limits = self.server.limits
        if limits.uri_bytes > limits.header_bytes:
            found.append(
                "server.limits: uri_bytes has no effect, since header_bytes is smaller and includes the target"
            )
        return tuple(found)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files whose contents are part of this config, each once."""
        return tuple(dict.fromkeys(value.path for _, value in files_in(self) if value.path is not None))

    @property
    def certificates(self) -> list[CertificateUse]:
        """All files with certificates, in the order of the config. Keys are not included."""
        files = [(loc, value) for loc, value in files_in(self) if isinstance(value, PemFile)]
        return [certificate_use(loc, file) for loc, file in files if loc[-1] != "key"]


# Every section of the config by its path; `*` stands for the name of a route or the index of a list.
SECTIONS: dict[Loc, type[Section]] = dict(sections_in(Config))


class SchemaFault(NamedTuple):
    """A fault at a path. `wrong` is set only for the kind `value`."""

    loc: Loc
    kind: Literal["value", "missing", "unknown", "mapping"]
    wrong: InvalidValueError | None = None


class SchemaError(Exception):
    """The tree is not a config; `faults` has every fault in it."""

    def __init__(self, faults: tuple[SchemaFault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def validate(tree: object) -> Config:
    """The config of a plain tree in the full form (`server`, `routes`). Raises `SchemaError`."""
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
