"""Addresses: every common slip has its own hint."""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.address import Address, Origin, host_name, listen_address, network, origin, overlap


def refused(read: Callable[[Any], object], written: object) -> InvalidValueError | None:
    try:
        read(written)
    except InvalidValueError as wrong:
        return wrong
    return None


def hint_of(read: Callable[[Any], object], written: object) -> str:
    wrong = refused(read, written)
    assert wrong is not None
    return wrong.hint


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (":8080", ("", 8080)),
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("[0:0::1]:8080", ("::1", 8080)),
        ("[::]:0", ("::", 0)),
    ],
)
def test_an_address_to_listen_on_is_an_ip_address_and_a_port(written: str, address: tuple[str, int]) -> None:
    assert listen_address(written) == address


@pytest.mark.parametrize(
    ("written", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.1.2.3:1", True),
        ("[::1]:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("[::1234]:1", False),
        ("192.0.2.7:1", False),
    ],
)
def test_an_address_is_of_this_machine_alone_or_not(written: str, loopback: bool) -> None:
    assert listen_address(written).loopback is loopback


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::fffe:10.0.0.0/104", "::fffe:a00:0/104"),
    ],
)
def test_a_network_of_ipv4_addresses_in_the_form_of_ipv6_is_one_of_ipv4(written: str, read: str) -> None:
    assert str(network(written)) == read


@given(st.ip_addresses().filter(lambda ip: getattr(ip, "ipv4_mapped", None) is None), st.integers(0, 65_535))
def test_every_address_survives_writing_and_reading(ip: object, port: int) -> None:
    address = Address(str(ip), port)
    assert listen_address(str(address)) == address


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (8080, "write 127.0.0.1:8080 for this machine only, or :8080 for every IPv4 and IPv6 address"),
        ("8080", "write 127.0.0.1:8080 for this machine only, or :8080 for every IPv4 and IPv6 address"),
        ("localhost:80", "write 127.0.0.1:80 or [::1]:80: a name can mean several addresses"),
        ("127.0.0.1", "the port is missing"),
        ("127.0.0.1:", "the port after the colon is missing"),
        ("[::1]", "the port is missing"),
        ("::1:8080", "an IPv6 address needs brackets"),
        ("[::1:8080", "an IPv6 address in brackets and then the port"),
        ("[::1]8080", "an IPv6 address in brackets and then the port"),
        ("[127.0.0.1]:80", "write 127.0.0.1 without brackets"),
        ("[fe80::1%eth0]:80", "remove the zone"),
        ("host:80", "is not an IP address"),
        ("*:80", "write :80 for every IPv4 and IPv6 address"),
        ("[::ffff:127.0.0.1]:80", "write 127.0.0.1, the IPv4 address"),
        ("1.2.3:80", "is not an IP address"),
        ("127.0.0.1:65536", "not a number from 0 to 65535"),
        ("127.0.0.1:-1", "not a number from 0 to 65535"),
        ("127.0.0.1:8O", "not a number from 0 to 65535"),
        ("http://127.0.0.1:80", "has no scheme"),
        ("", "expected an address"),
        (None, "expected an address"),
        (True, "expected an address"),
        (70_000, "expected an address"),
    ],
)
def test_an_address_nearly_right_is_corrected(written: object, hint: str) -> None:
    assert hint in hint_of(listen_address, written)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (":80", "127.0.0.1:80", True),
        ("127.0.0.1:80", ":80", True),
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("[::]:80", "[::1]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        (":80", ":81", False),
        (":80", "[::]:80", True),
        ("[::1]:80", ":80", True),
        (":80", ":80", True),
        ("0.0.0.0:80", "[::]:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        (":0", ":0", False),
    ],
)
def test_addresses_overlap_where_the_system_would_refuse_the_second(one: str, other: str, expected: bool) -> None:
    assert overlap(listen_address(one), listen_address(other)) is expected


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("http://localhost:9001", ("localhost", 9001)),
        ("http://localhost:9001/", ("localhost", 9001)),
        ("http://Shop_Stable", ("shop_stable", 80)),
        ("HTTP://shop.example.com.:8080", ("shop.example.com", 8080)),
        ("http://192.0.2.7:1", ("192.0.2.7", 1)),
        ("http://[::1]:65535", ("::1", 65_535)),
        ("http://[0:0:0:0:0:0:0:1]", ("::1", 80)),
    ],
)
def test_an_origin_is_scheme_host_and_port(written: str, endpoint: tuple[str, int]) -> None:
    assert origin(written) == Origin("http", *endpoint)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("localhost:9001", "the scheme is missing: write http://localhost:9001"),
        ("//localhost", "the scheme is missing: write http://localhost"),
        ("http:localhost", "the scheme is missing: write http://localhost"),
        ("what is this", "a URL has no white space"),
        ("local?host", "the scheme is missing; expected a URL"),
        ("http://a/b", "no path, query or fragment: write http://a"),
        ("http://a:1?b", "no path, query or fragment: write http://a:1"),
        ("http://a#b", "no path, query or fragment: write http://a"),
        ("http://a//", "no path, query or fragment: write http://a"),
        ("http://a\\b", "no path, query or fragment: write http://a"),
        ("https://a/b", "write https://a"),
        ("ftp://a", "the scheme must be http:// or https://"),
        ("http://", "the host is missing"),
        ("http://:80", "the host is missing"),
        ("http://a:", "the port after the colon is missing"),
        ("http://a:0", "not a number from 1 to 65535"),
        ("http://a:65536", "not a number from 1 to 65535"),
        ("http://a:b", "not a number from 1 to 65535"),
        ("http://::1:80", "an IPv6 address needs brackets"),
        ("http://[::g]", "not an IPv6 address"),
        ("http://[::1", "an IPv6 address in brackets"),
        ("http://256.1.1.1", "neither a host name nor an IPv4 address"),
        ("http://-a", "expected a host name"),
        ("http://a..b", "expected a host name"),
        ("http://büro.example", "write the name in its ASCII form: xn--bro-hoa.example"),
        ("http://" + "a" * 64, "expected a host name"),
        ("http://" + "a." * 400, "too long"),
        (" http://a", "white space"),
        ("http://a\n", "white space"),
        ("", "expected a URL"),
        (None, "expected a URL"),
        (9001, "expected a URL"),
    ],
)
def test_a_url_nearly_right_is_corrected(written: object, hint: str) -> None:
    assert hint in hint_of(origin, written)


@pytest.mark.parametrize("written", ["http://me:hunter2@a", "https://me:hunter2@a/b", "me:hunter2@a"])
def test_a_url_with_a_password_is_never_shown(written: str) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        origin(written)
    assert wrong.value.found is not None
    assert "hunter2" not in wrong.value.found + wrong.value.hint


@given(st.text())
def test_no_text_makes_the_readers_fail_otherwise(text: str) -> None:
    for written in (text, f"http://{text}", f"[{text}]:80", f"http://{text}.example:80"):
        for wrong in (refused(origin, written), refused(listen_address, written), refused(network, written)):
            assert wrong is None or wrong.hint


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.just(10**5000)))
def test_no_other_value_makes_the_readers_fail_otherwise(value: object) -> None:
    for read in (origin, listen_address, network):
        wrong = refused(read, value)
        assert wrong is not None
        assert wrong.hint


def test_a_host_name_is_reported_about_brackets() -> None:
    assert hint_of(host_name, "::1") == "put an IPv6 address in brackets, like [::1]"


def test_a_name_that_dns_cannot_know_has_no_other_spelling() -> None:
    assert hint_of(host_name, "ü" * 70).startswith("expected a host name")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("10.0.0.0/8", IPv4Network("10.0.0.0/8")),
        ("fe80::1%eth0", IPv6Network("fe80::1%eth0/128")),
        ("fe80::%eth0/64", IPv6Network("fe80::%eth0/64")),
        ("192.0.2.7", IPv4Network("192.0.2.7/32")),
        ("2001:db8::/32", IPv6Network("2001:db8::/32")),
        ("::1", IPv6Network("::1/128")),
    ],
)
def test_a_network_is_a_prefix_or_a_single_address(written: str, expected: object) -> None:
    assert network(written) == expected


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("10.0.0.0/33", "expected a network"),
        ("lb.example.com", "expected a network"),
        ("", "expected a network"),
        (10, "expected a network"),
        (None, "expected a network"),
    ],
)
def test_a_network_nearly_right_is_corrected(written: object, hint: str) -> None:
    assert hint in hint_of(network, written)
