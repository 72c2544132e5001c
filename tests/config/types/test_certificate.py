"""Certificate files: what can be used, and what is said of what cannot."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.certificate import MAX_FILE_BYTES, certificates, identity, pem_file
from tests.support.authority import Authority

AUTHORITY = Authority()


def hint(read: object, *arguments: object) -> str:
    with pytest.raises(InvalidValueError) as wrong:
        read(*arguments)  # type: ignore[operator]
    return wrong.value.hint


def test_a_pair_is_read_with_its_names_and_never_shown(tmp_path: Path) -> None:
    files = AUTHORITY.write(tmp_path, "shop", "Shop.test", "*.shop.test", "192.0.2.1")
    cert, key = pem_file(str(files.cert)), pem_file(str(files.key))
    made = identity(cert, key)
    assert made.names == ("shop.test", "*.shop.test")
    assert (made.cert, made.key) == (files.cert.read_bytes(), files.key.read_bytes())
    assert "BEGIN" not in f"{made!r} {key!r} {key}"


def test_a_certificate_without_names_serves_whom_nothing_else_fits() -> None:
    assert Authority().identity("192.0.2.1").names == ()


def test_what_cannot_be_used_is_reported(tmp_path: Path) -> None:
    files = AUTHORITY.write(tmp_path, "shop", "shop.test")
    other = AUTHORITY.write(tmp_path, "other", "other.test")
    cert, key, stranger = (pem_file(str(path)) for path in (files.cert, files.key, other.key))
    assert "does not belong to the first certificate" in hint(identity, cert, stranger)
    assert "contains no readable private key" in hint(identity, cert, cert)
    assert "contains no readable certificate" in hint(certificates, key)
    secret = load_pem_private_key(files.key.read_bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    files.key.write_bytes(secret)
    assert "give the key without a passphrase" in hint(identity, cert, pem_file(str(files.key)))


def test_what_is_no_pem_file_is_reported(tmp_path: Path) -> None:
    large, empty = tmp_path / "large", tmp_path / "empty"
    large.write_bytes(b"-----BEGIN " + bytes(MAX_FILE_BYTES))
    empty.touch()
    assert "not in PEM form" in hint(pem_file, str(large))
    assert "not in PEM form" in hint(pem_file, str(empty))
    assert "No such file" in hint(pem_file, str(tmp_path / "no"))
    assert "Is a directory" in hint(pem_file, str(tmp_path))
    for value in (5, "", None, "a\0b"):
        assert "expected the path of a PEM file" in hint(pem_file, value)
