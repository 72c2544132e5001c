"""The part of the schema that health checks, sources of numbers and webhooks share: what goes out with their requests.

Values of headers may be secrets: they are read when the config is, and never shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import Pem, Section, ServerName
from canaryproxy.config.types.certificate import PemFile, certificates, identity
from canaryproxy.config.types.files import read_named
from canaryproxy.config.types.secret import Token
from canaryproxy.model.certificate import CertificateIdentity, UpstreamTls

MAX_VALUE_BYTES = 8192
VALUE_EXPECTED = (
    'expected a text such as "${API_TOKEN}", or a file that holds it: {file: /run/secrets/token, prefix: "Bearer "}'
)
HIDDEN = "a value that is not shown"

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?", re.ASCII)

OWN_FIELDS = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Fields that belong to the connection or frame the message."""


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """What a header says, and the file that it came from, if it did."""

    text: str = field(repr=False)
    path: Path | None = None

    def __str__(self) -> str:
        return "a value" if self.path is None else str(self.path)


def sent_header(value: object) -> str:
    """The name of a header that is sent, in lower case."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidValueError("expected a header's name, such as x-api-key", found="a name that does not fit")
    name = value.lower()
    if name in OWN_FIELDS:
        raise InvalidValueError(
            f"leave it out: {name} belongs to the connection, not to the request", found="a name that does not fit"
        )
    return name


def header_value(value: object) -> HeaderValue:
    """A text, or a mapping with `file` and perhaps `prefix`. White space around a file's content is left out."""
    if isinstance(value, str):
        return HeaderValue(_valid_value(value.strip(" \t")))
    if not isinstance(value, dict) or "file" not in value or not value.keys() <= {"file", "prefix"}:
        raise InvalidValueError(VALUE_EXPECTED, found="a mapping" if isinstance(value, dict) else HIDDEN)
    prefix = value.get("prefix", "")
    if not isinstance(prefix, str):
        raise InvalidValueError('expected `prefix` to be a text, such as "Bearer "', found="a `prefix` that is no text")
    try:
        path, content = read_named(value["file"], MAX_VALUE_BYTES, "expected the path of a file that holds the value")
    except InvalidValueError as wrong:
        raise InvalidValueError(wrong.hint, found="a file that cannot be used") from None
    text = content.decode("latin-1").strip()
    if not text:
        raise InvalidValueError("write the value into it", found="a file that holds nothing")
    return HeaderValue(_valid_value((prefix + text).strip(" \t")), path)


def _valid_value(text: str) -> str:
    if len(text) > MAX_VALUE_BYTES or not VALUE.fullmatch(text):
        raise InvalidValueError(
            f"expected at most {MAX_VALUE_BYTES} printable ASCII characters on one line", found=HIDDEN
        )
    return text


SentHeader = Annotated[str, PlainValidator(sent_header)]
SentValue = Annotated[HeaderValue, PlainValidator(header_value)]
Headers = dict[SentHeader, SentValue]


def texts(headers: Mapping[str, HeaderValue]) -> tuple[tuple[str, str], ...]:
    """Names and values as they are sent."""
    return tuple((name, value.text) for name, value in headers.items())


class UpstreamTlsConfig(Section):
    """TLS to the endpoints of a version, or to a service that is asked or called. The files' contents are reloaded
    live.
    """

    ca: Pem | None = Field(
        default=None,
        description="File with the authorities to trust, PEM, in place of the system's.",
        examples=["/etc/tls/ca.crt"],
    )
    server_name: ServerName | None = Field(
        default=None,
        description="Name to ask for (SNI) and to expect in the certificate. Default: the URL's host.",
        examples=["shop.internal"],
    )
    cert: Pem | None = Field(
        default=None, description="Client certificate to show, PEM; with `key`.", examples=["/etc/tls/client.crt"]
    )
    key: Pem | None = Field(default=None, description="Its private key, PEM.", examples=["/etc/tls/client.key"])

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.ca is not None:
            certificates(self.ca)
        if (self.cert is None) != (self.key is None):
            raise InvalidValueError(
                "a client certificate needs both: give `cert` and `key`", found="one of `cert` and `key`"
            )
        if self.cert is not None and self.key is not None:
            identity(self.cert, self.key)
        return self

    @property
    def pems(self) -> tuple[PemFile, ...]:
        """The files whose contents are part of this."""
        return tuple(pem for pem in (self.ca, self.cert, self.key) if pem is not None)


def secure(host: str, tls: UpstreamTlsConfig | None) -> UpstreamTls:
    """How a host is spoken to over TLS; without a section, by the system's authorities."""
    if tls is None:
        return UpstreamTls(host)
    shown = None if tls.cert is None or tls.key is None else CertificateIdentity(tls.cert.content, tls.key.content)
    return UpstreamTls(tls.server_name or host, b"" if tls.ca is None else tls.ca.content, shown)


def files_of(
    headers: Mapping[str, HeaderValue], tls: UpstreamTlsConfig | None = None, token: Token | None = None
) -> tuple[Path, ...]:
    """The files that requests with these are made of."""
    found = [value.path for value in headers.values()]
    found += [] if tls is None else [pem.path for pem in tls.pems]
    found += [] if token is None else [token.path]
    return tuple(path for path in found if path is not None)


def check_secure(url: str | None, tls: UpstreamTlsConfig | None) -> None:
    """TLS settings are for `https://`. Raises `InvalidValueError`."""
    if tls is not None and url is not None and not url.lower().startswith("https:"):
        raise InvalidValueError("write https:// in the URL, or remove `tls`", found="`tls` beside a URL with http://")


def check_one_credential(headers: Mapping[str, HeaderValue], token: object, token_file: object) -> None:
    """One way to say who we are. Raises `InvalidValueError`."""
    if token is not None and token_file is not None:
        raise InvalidValueError("give one of them", found="both `token` and `token_file`")
    if "authorization" in headers and (token is not None or token_file is not None):
        raise InvalidValueError("give one of them", found="both a token and a header `authorization`")
