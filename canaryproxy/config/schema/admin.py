"""The part of the schema that is about running it: the admin API, probes, workers' log and metrics."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import (
    AdminHost,
    AdminRole,
    BucketBound,
    Listen,
    LogFormat,
    LogLevel,
    LogPath,
    NoAuth,
    Section,
    SocketPath,
    TokenFile,
    TokenName,
    TokenText,
)
from canaryproxy.config.types.address import Address
from canaryproxy.config.types.sequence import non_empty_sequence, sequence
from canaryproxy.model.settings import BUCKETS

SHORT_TOKEN = 16


class TokenConfig(Section):
    """Who may use the API, and for what."""

    name: TokenName = Field(description="Whom it belongs to, as the history shows it.", examples=["ci"])
    role: AdminRole = Field(description="`read`, or `write`, which may read, too.", examples=["write"])
    token: TokenText | None = Field(
        default=None, description="The token itself; better from the environment.", examples=['"${CI_TOKEN}"']
    )
    token_file: TokenFile | None = Field(
        default=None,
        description="A file that holds the token. A changed content is followed live.",
        examples=["/run/secrets/ci"],
    )

    @property
    def secret(self) -> str:
        """The token, wherever it came from."""
        found = self.token or self.token_file
        return "" if found is None else found.value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            found = "neither `token` nor `token_file`" if self.token is None else "both `token` and `token_file`"
            raise InvalidValueError('give one of them, such as token: "${CI_TOKEN}"', found=found)
        return self


class AdminConfig(Section):
    """The admin API."""

    listen: Listen = Field(
        default=Address("127.0.0.1", 9900),
        description="Where it listens, as `server.listen[].address`. One that is not of this machine alone demands "
        "`tokens`, or `auth: none`.",
        examples=["0.0.0.0:9900"],
    )
    tokens: Annotated[tuple[TokenConfig, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Bearer tokens. Without any, everyone on this machine may do everything. Followed live.",
        examples=["[{name: ci, role: write, token_file: /run/secrets/ci}]"],
    )
    auth: NoAuth = Field(
        default=False,
        description="`none` leaves the API open to everyone who reaches it.",
        examples=["none"],
    )
    hosts: Annotated[tuple[AdminHost, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Names that the API may be called by where it has no tokens, beside `localhost` and addresses. "
        "Any other is refused, since a web page could use its visitor's browser to reach the API (DNS rebinding).",
        examples=["[canaryproxy.ops.svc]"],
    )

    @property
    def open(self) -> bool:
        """Whether the API needs no token."""
        return not self.tokens

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        held = [one.token_file for one in self.tokens if one.token_file is not None]
        return tuple(token.path for token in held if token.path is not None)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.auth and self.tokens:
            raise InvalidValueError("leave `auth` out, or remove the tokens", found="`auth: none` beside `tokens`")
        names = [token.name for token in self.tokens]
        if len(set(names)) < len(names):
            raise InvalidValueError("give each token a name of its own", found="two tokens with one name")
        if not self.listen.loopback and not self.tokens and not self.auth:
            hint = "others can reach this address: give `tokens`, or say `auth: none`"
            plain = InvalidValueError(hint, found="`listen` without `tokens`")
            raise InvalidValueError(hint, found=f"`listen: {self.listen}` without `tokens`", plain=plain)
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and yet worth a second look."""
        found = [
            f"token {token.name} is short; `openssl rand -hex 32` makes a good one"
            for token in self.tokens
            if len(token.secret) < SHORT_TOKEN
        ]
        if self.auth and not self.listen.loopback:
            found.append(f"everyone who reaches {self.listen} may change weights (auth: none)")
        return tuple(found)


class ProbesConfig(Section):
    """Listeners of their own for kubelet and Prometheus, a port and a Unix socket, which know `/healthz`, `/readyz` and
    `/metrics` alone.
    """

    listen: Listen | None = Field(
        default=None,
        description="Where it listens, as `server.listen[].address`; left out where `socket` is enough.",
        examples=["0.0.0.0:9901"],
    )
    socket: SocketPath = Field(
        default=None,
        description="Path of a Unix socket that answers the same to this user alone (mode 0600), for `canaryproxy "
        "probe`: no stranger's connections are in its way, as they may be on a port. A relative path counts from the "
        "directory that `STATE_DIRECTORY` names, as `server.state`.",
        examples=["/run/canaryproxy/probes.sock"],
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.listen is None and self.socket is None:
            raise InvalidValueError(
                "give `listen`, `socket`, or both; or `probes: none`", found="neither `listen` nor `socket`"
            )
        return self


class MetricsConfig(Section):
    """What `/metrics` says."""

    buckets: Annotated[tuple[BucketBound, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=BUCKETS,
        description="Upper bounds of the histograms, rising.",
        examples=["[10ms, 100ms, 1s]"],
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.buckets) != sorted(set(self.buckets)):
            raise InvalidValueError("write the bounds in rising order, each once")
        return self


class LogConfig(Section):
    """What the processes say of themselves on standard error."""

    level: LogLevel = Field(default="info", description="`debug`, `info`, `warning` or `error`.", examples=["debug"])
    format: LogFormat = Field(default="text", description="`text` for people, `json` for machines.", examples=["json"])


class AccessLogConfig(Section):
    """One line for each request, written when it is over."""

    path: LogPath = Field(
        default="-",
        description="File to append to, or `-` for standard output. A file that is moved away is reopened.",
        examples=["/var/log/canaryproxy/access.log"],
    )
    format: LogFormat = Field(default="json", description="`json`, or `text` for human eyes.", examples=["text"])
