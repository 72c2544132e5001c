"""The sections of operation: admin API, probes, metrics and logs."""

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.config.types.address import Address
from canaryproxy.config.types.readers import distinct, non_empty_sequence, sequence
from canaryproxy.config.types.secret import secret_text
from canaryproxy.model.settings import BUCKETS

# Characters below which a token is worth a warning: a shorter one can be guessed.
SHORT_TOKEN = 16


class TokenConfig(Section):
    """A token for the admin API, with its permission."""

    name: leaves.RuleName = Field(description="Owner, recorded in the history.", examples=["ci"])
    role: leaves.AdminRoleWord = Field(
        description="Permission: `read`, or `write`, which includes `read`.", examples=["write"]
    )
    token: leaves.TokenText | None = Field(
        default=None, description="The token. Better given by the environment.", examples=['"${CI_TOKEN}"']
    )
    token_file: leaves.TokenFile | None = Field(
        default=None,
        description="File that contains the token, instead of `token`. It is reloaded live.",
        examples=["/run/secrets/ci"],
    )

    @property
    def secret(self) -> str:
        """The text of the token."""
        return secret_text(self.token, self.token_file)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            found = "neither `token` nor `token_file`" if self.token is None else "both `token` and `token_file`"
            raise InvalidValueError('give one of them, such as token: "${CI_TOKEN}"', found=found)
        return self


class AdminConfig(Section):
    """The admin API."""

    listen: leaves.Listen = Field(
        default=Address("127.0.0.1", 9900),
        description="Listening address, as `server.listen[].address`. An address that other machines can reach needs "
        "`tokens` or `auth: none`.",
        examples=["0.0.0.0:9900"],
    )
    tokens: Annotated[tuple[TokenConfig, ...], BeforeValidator(sequence), AfterValidator(distinct("token"))] = Field(
        default=(),
        description="Bearer tokens. Without tokens every process on this machine has full access. Reloaded live.",
        examples=["[{name: ci, role: write, token_file: /run/secrets/ci}]"],
    )
    auth: leaves.NoAuth = Field(
        default=False, description="`none` gives full access to every client that can reach the API.", examples=["none"]
    )
    hosts: Annotated[tuple[leaves.ServerName, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Host names that are accepted in requests to an API without tokens, in addition to `localhost` "
        "and IP addresses. Others are refused, since a web page could reach the API through the browser of its "
        "visitor (DNS rebinding).",
        examples=["[canaryproxy.ops.svc]"],
    )

    @property
    def open(self) -> bool:
        """Whether the API needs no token."""
        return not self.tokens

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.auth and self.tokens:
            raise InvalidValueError("remove `auth` or `tokens`", found="`auth: none` beside `tokens`")
        if not self.listen.loopback and not self.tokens and not self.auth:
            raise InvalidValueError(
                "other machines can reach this address: add `tokens`, or `auth: none`",
                found=f"`listen: {self.listen}` without `tokens`",
                plain="`listen` without `tokens`",
            )
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that are valid but probably a mistake."""
        found = [
            f"token {token.name} is short; `openssl rand -hex 32` generates a good one"
            for token in self.tokens
            if len(token.secret) < SHORT_TOKEN
        ]
        if self.auth and not self.listen.loopback:
            found.append(f"every client that can reach {self.listen} may change weights (auth: none)")
        return tuple(found)


class ProbesConfig(Section):
    """Separate listeners, a port and a Unix socket, that serve only `/healthz`, `/readyz` and `/metrics`."""

    listen: leaves.Listen | None = Field(
        default=None,
        description="Listening address, as `server.listen[].address`. May be left out if `socket` is given.",
        examples=["0.0.0.0:9901"],
    )
    socket: leaves.SocketPath = Field(
        default=None,
        description="Path of a Unix socket that serves the same paths to this user only (mode 0600), for `canaryproxy "
        "probe`. Unlike a port, other clients cannot exhaust its connections. A relative path is relative to the "
        "directory in `STATE_DIRECTORY`, as for `server.state`.",
        examples=["/run/canaryproxy/probes.sock"],
    )

    @model_validator(mode="after")
    def _listens(self) -> Self:
        if self.listen is None and self.socket is None:
            hint = "give `listen`, `socket`, or both; or `probes: none`"
            raise InvalidValueError(hint, found="neither `listen` nor `socket`")
        return self


class MetricsConfig(Section):
    """Settings of `/metrics`."""

    buckets: Annotated[tuple[leaves.BucketBound, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=BUCKETS,
        description="Upper bounds of the histogram buckets, in rising order.",
        examples=["[10ms, 100ms, 1s]"],
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.buckets) != sorted(set(self.buckets)):
            raise InvalidValueError("write the bounds in rising order, each once")
        return self


class LogConfig(Section):
    """The log of all processes, on standard error."""

    level: leaves.LogLevelWord = Field(
        default="info", description="Lowest level: `debug`, `info`, `warning` or `error`.", examples=["debug"]
    )
    format: leaves.LogFormatWord = Field(
        default="text", description="`text` for people, `json` for machines.", examples=["json"]
    )


class AccessLogConfig(Section):
    """One line for each request, written at its end."""

    path: leaves.LogPath = Field(
        default="-",
        description="File to append to, or `-` for standard output. A file that was renamed or removed is reopened.",
        examples=["/var/log/canaryproxy/access.log"],
    )
    format: leaves.LogFormatWord = Field(
        default="json", description="`json` for machines, `text` for people.", examples=["text"]
    )
