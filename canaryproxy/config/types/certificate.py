"""Certificate and key files: read when the config is, and checked before anything depends on them.

Their content is part of the config, so a renewed certificate is a changed config. The only home of
`cryptography`, and the only readers of the config that touch the disk.
"""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.files import read_named
from canaryproxy.model.certificate import CertificateIdentity

MAX_FILE_BYTES = 1024 * 1024
FILE_EXPECTED = "expected the path of a PEM file"


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file of the config's choice, and what it held when the config was read. The content is never shown."""

    path: Path
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return str(self.path)


def pem_file(value: object) -> PemFile:
    """Read a PEM file; a relative path counts from the working directory."""
    path, content = read_named(value, MAX_FILE_BYTES, FILE_EXPECTED)
    if len(content) > MAX_FILE_BYTES or b"-----BEGIN " not in content:
        raise InvalidValueError("this file is not in PEM form: a text with -----BEGIN ...")
    return PemFile(path, content)


def certificates(file: PemFile) -> list[x509.Certificate]:
    """The certificates in a file, one at least."""
    try:
        return x509.load_pem_x509_certificates(file.content)
    except ValueError:
        raise InvalidValueError(
            f"{file.path} holds no certificate that can be read",
            plain=InvalidValueError(
                "name a file in PEM form", found="a file that holds no certificate that can be read"
            ),
        ) from None


def identity(cert: PemFile, key: PemFile) -> CertificateIdentity:
    """A chain and its key, which must belong together."""
    leaf = certificates(cert)[0]
    try:
        private = load_pem_private_key(key.content, None)
    except TypeError:
        raise InvalidValueError(
            f"{key.path} is encrypted: give the key without a passphrase",
            plain=InvalidValueError("give the key without a passphrase", found="a `key` that is encrypted"),
        ) from None
    except ValueError:
        raise InvalidValueError(
            f"{key.path} holds no private key that can be read",
            plain=InvalidValueError(
                "name a file in PEM form", found="a `key` that holds no private key that can be read"
            ),
        ) from None
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*spki) != private.public_key().public_bytes(*spki):
        raise InvalidValueError(
            f"the key in {key.path} does not belong to the first certificate in {cert.path}",
            plain=InvalidValueError(
                "name files that belong together", found="a `key` that does not belong to the first one in `cert`"
            ),
        )
    return CertificateIdentity(cert.content, key.content, names_of(leaf))


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names a certificate is for, in lower case (RFC 6125: the common name does not count)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
