"""The byte patterns."""

import pytest

from canaryproxy.http1 import grammar


@pytest.mark.parametrize(
    "host", [b"a", b"shop.example.com", b"shop.example.com:80", b"a:", b"[::1]", b"[::1]:65535", b"a_b", b"1.2.3.4:0"]
)
def test_hosts_that_are_accepted(host: bytes) -> None:
    assert grammar.authority(host)


@pytest.mark.parametrize(
    "host",
    [b"", b":80", b"a b", b"a,b", b"a/b", b"a?b", b"u@a", b"[::1", b"::1]", b"a:65536", b"a:8o", b"a:-1", b"\xe9"],
)
def test_hosts_that_are_refused(host: bytes) -> None:
    assert not grammar.authority(host)


def test_a_field_is_found_by_its_name_in_any_case_and_by_its_twin() -> None:
    found = grammar.field_finder(b"content-length", b"te").findall(
        b"\nCONTENT-length: 1\r\nX: te\r\nTE:a\r\nTea: b\r\ncontent_Length:2\r\n"
    )
    assert found == [(b"CONTENT-length", b" 1"), (b"TE", b"a"), (b"content_Length", b"2")]
