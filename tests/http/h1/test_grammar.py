"""The byte patterns."""

import pytest

from canaryproxy.http.h1 import grammar


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


@pytest.mark.parametrize(
    "line", [b"Host: shop.test \r\n", b"Host:\r\n", b"host:\t\r\n", b"Host: a b\r\n", b"Host: a:1 \r\n"]
)
def test_a_first_host_that_is_no_plain_one_is_a_field_like_any_other(line: bytes) -> None:
    match = grammar.request_head(b"GET / HTTP/1.0\r\n" + line + b"X: y\r\n\r\n")
    assert match is not None
    assert match.groups()[3:] == (None, line + b"X: y\r\n")
