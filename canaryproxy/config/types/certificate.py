"""Certificate and key files: read together with the config, and checked before anything depends on them.

Their content is part of the config, so a renewed certificate is a changed config. Only this module uses `cryptography`.
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
    """A file that the config names, with its content when the config was read. The content is never shown."""

    path: Path
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return str(self.path)


def pem_file(value: object) -> PemFile:
    """Read a PEM file. A relative path is relative to the working directory."""
    path, content = read_named(value, MAX_FILE_BYTES, FILE_EXPECTED)
    if len(content) > MAX_FILE_BYTES or b"-----BEGIN " not in content:
        raise InvalidValueError("this file is not in PEM format, a text with -----BEGIN ...")
    return PemFile(path, content)


def certificates(file: PemFile) -> list[x509.Certificate]:
    """The certificates in a file, at least one."""
    try:
        return x509.load_pem_x509_certificates(file.content)
    except ValueError:
        raise InvalidValueError(
            f"{file.path} contains no readable certificate",
            plain="a file without a readable certificate",
            plain_hint="name a file in PEM format",
        ) from None


def identity(cert: PemFile, key: PemFile) -> CertificateIdentity:
    """A certificate chain and its private key. Raises `InvalidValueError` if they do not belong together."""
    leaf = certificates(cert)[0]
    try:
        private = load_pem_private_key(key.content, None)
    except TypeError:  # the library's error for a missing passphrase
        hint = "give the key without a passphrase"
        raise InvalidValueError(
            f"{key.path} is encrypted: {hint}", plain="an encrypted `key`", plain_hint=hint
        ) from None
    except ValueError:
        raise InvalidValueError(
            f"{key.path} contains no readable private key",
            plain="a `key` file without a readable private key",
            plain_hint="name a file in PEM format",
        ) from None
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*spki) != private.public_key().public_bytes(*spki):
        raise InvalidValueError(
            f"the key in {key.path} does not belong to the first certificate in {cert.path}",
            plain="a `key` that does not belong to the first certificate in `cert`",
            plain_hint="name files that belong together",
        )
    return CertificateIdentity(cert.content, key.content, names_of(leaf))


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of a certificate, in lower case. The common name does not count (RFC 6125)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
