"""Certificates for tests, made by trustme."""

from pathlib import Path
from typing import NamedTuple

import trustme

from canaryproxy.model.certificate import CertificateIdentity


class Files(NamedTuple):
    """A certificate and its key on disk."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority with what it signs."""

    def __init__(self) -> None:
        self.ca = trustme.CA()

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self.ca.cert_pem.bytes()

    def identity(self, *names: str) -> CertificateIdentity:
        """A certificate for these names, with its key."""
        leaf = self.ca.issue_cert(*names)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return CertificateIdentity(
            chain, leaf.private_key_pem.bytes(), tuple(name for name in names if not name[0].isdigit())
        )

    def write(self, folder: Path, stem: str, *names: str) -> Files:
        """A certificate for these names in `folder`, as `stem`.crt and `stem`.key."""
        made = self.identity(*names)
        files = Files(folder / f"{stem}.crt", folder / f"{stem}.key")
        files.cert.write_bytes(made.cert)
        files.key.write_bytes(made.key)
        return files

    def write_ca(self, folder: Path) -> Path:
        """The authority's certificate in `folder`, as ca.crt."""
        (folder / "ca.crt").write_bytes(self.pem)
        return folder / "ca.crt"
