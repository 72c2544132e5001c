"""Certificates and keys as plain data: their content travels with the settings, so no worker needs the files."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """A certificate chain and its private key, both PEM, and the lower-case DNS names that the certificate is for.

    The key is never shown.
    """

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How an endpoint is spoken to over TLS.

    `server_name` is sent as SNI and must stand in its certificate. `ca` is PEM; empty means the system's
    authorities. `identity` is shown to endpoints that ask for a client certificate.
    """

    server_name: str
    ca: bytes = field(default=b"", repr=False)
    identity: CertificateIdentity | None = None


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """What a listener answers TLS handshakes with: its identities, the first of which serves unknown names.

    `client_ca`, PEM, makes it demand a client certificate signed by one of these authorities.
    """

    identities: tuple[CertificateIdentity, ...]
    client_ca: bytes = field(default=b"", repr=False)
