"""Certificates and keys as plain data: sent to workers by content, so no worker needs to read the files."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """A certificate chain and its private key, both PEM, and its lower-case DNS names. `repr` shows the names only."""

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS settings for connections to an endpoint. `server_name` is sent as SNI and verified; `ca` is PEM, empty for
    the system's authorities; `identity` is the client certificate.
    """

    server_name: str
    ca: bytes = field(default=b"", repr=False)
    identity: CertificateIdentity | None = None


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """TLS settings of a listener: its identities, the first of which serves unknown names. With `client_ca`, PEM,
    clients must present a certificate signed by one of these authorities.
    """

    identities: tuple[CertificateIdentity, ...]
    client_ca: bytes = field(default=b"", repr=False)
