"""Tokens are read, and never shown."""

from pathlib import Path

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.secret import no_auth, token, token_file


def test_a_token_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "ci"
    path.write_text("  s3cret\n")
    for one in (token("s3cret"), token_file(str(path))):
        assert one.value == "s3cret"
        assert "s3cret" not in f"{one!r} {one}"


@pytest.mark.parametrize("value", ["", "a b", "é", 5, None, "x" * 5000, "a\nb"])
def test_what_is_no_token(value: object) -> None:
    with pytest.raises(InvalidValueError):
        token(value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff", b"x" * 5000])
def test_a_file_without_a_token(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ci").write_bytes(content)
    with pytest.raises(InvalidValueError):
        token_file(str(tmp_path / "ci"))


@pytest.mark.parametrize("value", ["", 5, "/nonexistent/ci", "a\0b"])
def test_a_file_that_cannot_be_read(value: object) -> None:
    with pytest.raises(InvalidValueError):
        token_file(value)


def test_the_word_that_opens_the_api() -> None:
    assert (no_auth("none"), no_auth(None)) == (True, True)
    with pytest.raises(InvalidValueError):
        no_auth("all")
