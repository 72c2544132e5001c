"""The section of active health checks: the request to each endpoint, and the responses that count as healthy."""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section, ShownAs
from canaryproxy.config.types.address import authority
from canaryproxy.config.types.readers import choice
from canaryproxy.model.goal import REACHED

Scheme = Literal["http", "https"]
SchemeWord = Annotated[Scheme, PlainValidator(choice(Scheme)), ShownAs(str)]
Authority = Annotated[str, PlainValidator(authority)]


class HealthConfig(Section):
    """Active health checks: requests to every endpoint at regular intervals."""

    path: leaves.Target = Field(description="Path of the request.", examples=["/healthz"])
    host: Authority | None = Field(
        default=None,
        description="The `Host` header of the request. Default: the host of the URL and the port of the check. It does "
        "not change TLS: the name for SNI and in the certificate is `tls.server_name`, or the host of the URL.",
        examples=["shop.example.com"],
    )
    port: leaves.Port | None = Field(
        default=None, description="Port of the checks. Default: the port of the endpoint.", examples=["8081"]
    )
    scheme: SchemeWord | None = Field(
        default=None,
        description="`http` if a version with `https://` answers health checks without TLS. Default: the scheme of the "
        "URL.",
        examples=["http"],
    )
    headers: leaves.Headers = Field(
        default={},
        description='Headers to send. Give a secret value by the environment (`"${HEALTH_KEY}"`) or by a file, '
        '`{file: /run/secrets/key, prefix: "Bearer "}`, whose content is reloaded live. Values are never shown.',
        examples=['{x-probe: canaryproxy, authorization: {file: /run/secrets/health, prefix: "Bearer "}}'],
    )
    status: leaves.Statuses = Field(
        default=REACHED,
        description="Statuses that count as healthy. Redirects are not followed.",
        examples=["[200, 204, 300-399]"],
    )
    interval: leaves.Duration = Field(
        default=2.0, description="Time from one check of an endpoint to the next.", examples=["5s"]
    )
    timeout: leaves.ShortDuration = Field(default=1.0, description="Longest time for one check.", examples=["500ms"])
    unhealthy: leaves.Count = Field(
        default=3, description="Consecutive failed checks that make an endpoint unhealthy.", examples=["2"]
    )
    healthy: leaves.Count = Field(
        default=1, description="Consecutive successful checks that make an endpoint healthy again.", examples=["2"]
    )
    version_header: leaves.HeaderName | None = Field(
        default=None,
        description="Response header that contains the name of the version. A canary that reports another name is a "
        "new canary: its rollout starts over.",
        examples=["x-version"],
    )

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if "host" in self.headers:
            raise InvalidValueError("write it as `host: shop.example.com`", found="a header `host`")
        return self
