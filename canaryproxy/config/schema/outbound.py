"""The sections of TLS and credentials for requests of canaryproxy itself: checks and webhooks."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.config.types.certificate import certificates, identity
from canaryproxy.config.types.secret import HeaderValue, secret_text
from canaryproxy.model.certificate import CertificateIdentity, UpstreamTls


class UpstreamTlsConfig(Section):
    """TLS to the endpoints of a version or to another service. The contents of the files are reloaded live."""

    ca: leaves.Pem | None = Field(
        default=None,
        description="PEM file with the trusted certificate authorities, instead of those of the system.",
        examples=["/etc/tls/ca.crt"],
    )
    server_name: leaves.ServerName | None = Field(
        default=None,
        description="Name to request (SNI) and to verify in the certificate. Default: the host of the URL.",
        examples=["shop.internal"],
    )
    cert: leaves.Pem | None = Field(
        default=None, description="PEM file with the client certificate; needs `key`.", examples=["/etc/tls/client.crt"]
    )
    key: leaves.Pem | None = Field(
        default=None, description="PEM file with the private key of `cert`.", examples=["/etc/tls/client.key"]
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.ca is not None:
            certificates(self.ca)
        if (self.cert is None) != (self.key is None):
            raise InvalidValueError(
                "give both `cert` and `key` for a client certificate", found="only one of `cert` and `key`"
            )
        if self.cert is not None and self.key is not None:
            identity(self.cert, self.key)
        return self


def secure(host: str, tls: UpstreamTlsConfig | None) -> UpstreamTls:
    """The TLS settings for a host. Without a section, the certificate authorities of the system are trusted."""
    if tls is None:
        return UpstreamTls(host)
    shown = None if tls.cert is None or tls.key is None else CertificateIdentity(tls.cert.content, tls.key.content)
    return UpstreamTls(tls.server_name or host, b"" if tls.ca is None else tls.ca.content, shown)


def texts(headers: Mapping[str, HeaderValue]) -> tuple[tuple[str, str], ...]:
    """Names and values as they are sent."""
    return tuple((name, value.text) for name, value in headers.items())


def check_https(tls: UpstreamTlsConfig | None, url: str | None) -> None:
    """TLS settings need a URL with `https://`. Raises `InvalidValueError`."""
    if tls is not None and url is not None and not url.lower().startswith("https:"):
        raise InvalidValueError("write https:// in the URL, or remove `tls`", found="`tls` beside a URL with http://")


class OutboundConfig(Section):
    """The credentials and TLS settings of a request to another service."""

    headers: leaves.OutboundHeaders = Field(default={})
    tls: UpstreamTlsConfig | None = Field(
        default=None,
        description="TLS settings for `https://`, as in `routes.<name>.stable.tls`. Default: the certificate "
        "authorities of the system.",
    )
    token: leaves.TokenText | None = Field(
        default=None, description="Bearer token. Better given by the environment.", examples=['"${SERVICE_TOKEN}"']
    )
    token_file: leaves.TokenFile | None = Field(
        default=None,
        description="File that contains the bearer token, instead of `token`.",
        examples=["/run/secrets/service"],
    )

    @property
    def secret(self) -> str:
        """The bearer token; empty for none."""
        return secret_text(self.token, self.token_file)

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise InvalidValueError("give one of them", found="both `token` and `token_file`")
        if "authorization" in self.headers and self.secret:
            raise InvalidValueError("give one of them", found="both a token and a header `authorization`")
        return self
