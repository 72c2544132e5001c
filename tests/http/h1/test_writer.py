"""Chunks and trailers out. H numbers: docs/http.md."""

import pytest

from canaryproxy.http.h1.writer import chunk, chunk_start, last_chunk


def test_a_chunk_begins_with_its_size_in_hexadecimal() -> None:
    assert chunk_start(255) == b"ff\r\n"
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"


def test_trailers_follow_the_last_chunk() -> None:
    assert last_chunk(()) == b"0\r\n\r\n"
    assert last_chunk((b"X-Sum: 1", b"X-Too: 2")) == b"0\r\nX-Sum: 1\r\nX-Too: 2\r\n\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length",
        b"transfer-encoding",
        b"HOST",
        b"Authorization",
        b"Cookie",
        b"Set-Cookie",
        b"X-Real-IP",
        b"X_Forwarded_For",
        b"Trailer",
        b"Content_Length",
        b"Location",
        b"X-Canary-Version",
    ],
)
def test_fields_that_must_not_come_late_are_dropped_from_trailers(name: bytes) -> None:
    """H38."""
    assert last_chunk((name + b": x", b"X-Sum: 1")) == b"0\r\nX-Sum: 1\r\n\r\n"
