"""TLS contexts from certificates that are plain data. The only place on the request path that uses `ssl`.

TLS 1.2 and 1.3 with the library's default ciphers; the control plane has validated certificates and keys. A listener's
identities can be replaced while it serves: every handshake selects its context by the name that the client sends (RFC
6066 3).
"""

import contextlib
import os
import ssl
from collections.abc import Iterator
from functools import lru_cache

from canaryproxy.model.certificate import CertificateIdentity, ListenerTls, UpstreamTls

# The protocols offered in ALPN (RFC 7301), without HTTP/2.
PROTOCOLS = ["http/1.1"]

MAX_CACHED_CONTEXTS = 64


@lru_cache(maxsize=MAX_CACHED_CONTEXTS)
def client_context(tls: UpstreamTls) -> ssl.SSLContext:
    """The context for connections to an endpoint. Raises `OSError` if this machine lacks something to create it."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=tls.ca.decode("ascii") or None)
    if not tls.ca:
        # OpenSSL ignores that it cannot open the system's CA file for lack of a descriptor. This context is cached and
        # would reject every certificate, so the error must be raised here.
        file: str | None = ssl.get_default_verify_paths().cafile
        if file and not context.cert_store_stats()["x509"]:
            context.load_verify_locations(file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(PROTOCOLS)
    if tls.identity is not None:
        _load(context, tls.identity)
    return context


class SniContexts:
    """The TLS contexts of a listener: `context` for its sockets, and `replace` for new certificates."""

    def __init__(self, tls: ListenerTls) -> None:
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.replace(tls)
        self.context = _server_context(tls.identities[0], tls.client_ca)
        self.context.sni_callback = self._choose

    def __repr__(self) -> str:
        return f"<SniContexts for {', '.join(sorted(self._by_name))}>"

    def replace(self, tls: ListenerTls) -> None:
        """Serve these identities from the next handshake on."""
        contexts = [_server_context(identity, tls.client_ca) for identity in tls.identities]
        by_name: dict[str, ssl.SSLContext] = {}
        for identity, context in zip(tls.identities, contexts, strict=True):
            for name in identity.names:
                by_name.setdefault(name, context)
        self._default, self._by_name = contexts[0], by_name

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._find((name or "").lower().removesuffix("."))

    def _find(self, name: str) -> ssl.SSLContext:
        """An exact name has priority over a wildcard, which matches one label (RFC 6125 6.4.3)."""
        exact = self._by_name.get(name)
        return exact or self._by_name.get(f"*.{name.partition('.')[2]}") or self._default


def _server_context(identity: CertificateIdentity, client_ca: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(PROTOCOLS)
    _load(context, identity)
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, identity: CertificateIdentity) -> None:
    """OpenSSL reads identities from files only, so they are passed as files in memory."""
    with in_memory(identity.cert) as cert, in_memory(identity.key) as key:
        context.load_cert_chain(cert, key)


@contextlib.contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """A path under which `content` can be read until the end of the block; never on a disk."""
    descriptor = os.memfd_create("canaryproxy")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
