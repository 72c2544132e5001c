"""The part of the schema for active health checks: what is asked of each endpoint, and which answers are good."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.goals import Ranges, statuses, statuses_text
from canaryproxy.config.schema.outbound import Headers, files_of
from canaryproxy.config.schema.section import Count, Duration, HeaderName, Section, ShortDuration, ShownAs, Target
from canaryproxy.config.schema.sources import Port
from canaryproxy.config.types.address import authority
from canaryproxy.model.goal import REACHED

Scheme = Literal["http", "https"]


def scheme(value: object) -> Scheme:
    """`http` or `https`."""
    if value == "http":
        return "http"
    if value == "https":
        return "https"
    raise InvalidValueError("expected http or https")


SchemeWord = Annotated[Scheme, PlainValidator(scheme), ShownAs(str)]
Authority = Annotated[str, PlainValidator(authority)]
Statuses = Annotated[Ranges, PlainValidator(statuses), ShownAs(statuses_text)]


class HealthConfig(Section):
    """Active health checks: a request to every endpoint, over and over."""

    path: Target = Field(description="What is asked for.", examples=["/healthz"])
    host: Authority | None = Field(
        default=None,
        description="The `Host` header of the request. Default: the URL's host and the port that is asked. It changes "
        "nothing about TLS: the name for SNI and in the certificate is `tls.server_name`, or the URL's host.",
        examples=["shop.example.com"],
    )
    port: Port | None = Field(default=None, description="At another port than the one it serves at.", examples=["8081"])
    scheme: SchemeWord | None = Field(
        default=None,
        description="`http` where a version with `https://` answers checks without TLS. Default: the URL's scheme.",
        examples=["http"],
    )
    headers: Headers = Field(
        default={},
        description='Headers to send. A value that is a secret stands in the environment (`"${HEALTH_KEY}"`) or in a '
        'file, `{file: /run/secrets/key, prefix: "Bearer "}`, whose content is followed live. Values are never shown.',
        examples=['{x-probe: canaryproxy, authorization: {file: /run/secrets/health, prefix: "Bearer "}}'],
    )
    status: Statuses = Field(
        default=REACHED,
        description="Statuses that are healthy. Redirects are not followed.",
        examples=["[200, 204, 300-399]"],
    )
    interval: Duration = Field(default=2.0, description="Time from one check to the next.", examples=["5s"])
    timeout: ShortDuration = Field(default=1.0, description="Time for a check.", examples=["500ms"])
    unhealthy: Count = Field(
        default=3, description="Checks that must fail in a row until an endpoint is unhealthy.", examples=["2"]
    )
    healthy: Count = Field(
        default=1, description="Checks that must succeed in a row until it is healthy again.", examples=["2"]
    )
    version_header: HeaderName | None = Field(
        default=None,
        description="A response header in which it tells its version: a canary that tells another one is another "
        "canary, and its rollout starts over.",
        examples=["x-version"],
    )

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if "host" in self.headers:
            raise InvalidValueError("write it as `host: shop.example.com`", found="a header `host`")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return files_of(self.headers)
