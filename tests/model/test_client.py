"""Addresses as clients and proxies write them; tests/routing/test_request_view.py tests the sources of requests."""

from ipaddress import ip_address, ip_network

import pytest

from canaryproxy.model.client import Client, client_prefix, plain, read_address
from canaryproxy.model.forwarded import MAX_HOPS


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.1", "192.0.2.1"), (" ::1 ", "::1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1")],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert read_address(text) == ip_address(address)


@pytest.mark.parametrize("text", ["", "unknown", "192.0.2.1:80", "[::1]", "_hidden", "1.2.3"])
def test_anything_else_is_no_address(text: str) -> None:
    assert read_address(text) is None


def test_only_known_proxies_are_trusted() -> None:
    networks = [ip_network("10.0.0.0/8")]
    assert Client("10.1.1.1", networks=networks).trusted
    assert not Client("11.1.1.1", networks=networks).trusted
    assert not Client("10.1.1.1").trusted


def test_of_a_new_client_no_number_is_known() -> None:
    client = Client("192.0.2.1")
    assert (client.hash, client.user) == (None, 0)
    client.user = 2**64 - 1
    assert client.user == 2**64 - 1


@pytest.mark.parametrize(
    ("data", "address"),
    [
        ("::ffff:10.1.1.1", "10.1.1.1"),
        ("::FFFF:10.1.1.1", "10.1.1.1"),
        ("::ffff:a01:101", "10.1.1.1"),
        ("10.1.1.1", "10.1.1.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:nonsense", "::ffff:nonsense"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_client_of_a_listener_for_both_families_has_its_ipv4_address(data: str, address: str) -> None:
    assert plain(data) == address


def test_such_a_client_is_trusted_and_named_by_its_ipv4_address() -> None:
    client = Client("::ffff:10.1.1.1", networks=[ip_network("10.0.0.0/8")])
    assert (client.address, client.trusted) == (b"10.1.1.1", True)
    assert client.source([(b"x-forwarded-for", b"192.0.2.9, ::ffff:10.2.2.2")]) == ip_address("192.0.2.9")
    assert client.source([(b"x-forwarded-for", b"::ffff:192.0.2.9")]) == ip_address("192.0.2.9")


def test_only_the_hops_up_to_the_first_untrusted_one_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(text: str) -> object:
        read.append(text)
        return read_address(text)

    client = Client("10.0.0.1", networks=[ip_network("10.0.0.0/8")])
    monkeypatch.setattr("canaryproxy.model.client.read_address", reading)
    hops = ", ".join(["192.0.2.1"] * 98 + ["10.1.1.1"])
    assert client.source([(b"x-forwarded-for", hops.encode())]) == ip_address("192.0.2.1")
    assert len(read) == 3


def test_of_very_many_hops_the_nearest_are_looked_at() -> None:
    """A client may put thousands of addresses of trusted proxies in front of what those say."""
    client = Client("10.0.0.1", networks=[ip_network("10.0.0.0/8")])
    near = [f"10.0.{number // 250}.{number % 250}" for number in range(MAX_HOPS)]
    line = ", ".join(["203.0.113.9", *["10.9.9.9"] * 7_000, *near]).encode()
    origin = client.origin([(b"x-forwarded-for", line)])
    assert origin.address == ip_address(near[0])
    assert len(origin.behind) == MAX_HOPS
    one_by_one = [(b"x-forwarded-for", hop.encode()) for hop in ["203.0.113.9", *near]]
    assert client.origin(one_by_one).address == ip_address(near[0])
    assert client.origin(one_by_one[:-1]).address == ip_address("203.0.113.9")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_an_address_is_counted_by_what_one_client_can_choose_from(address: str, counted: str) -> None:
    assert client_prefix(address) == counted
