"""The Forwarded field, read strictly (RFC 7239), and which family of fields passes. H26, H76."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.client import Client
from canaryproxy.model.forwarded import (
    MAX_HOPS,
    MAX_MARKS,
    Forwarding,
    elements,
    hops_of,
    near,
    node_address,
    scheme_of,
    sound,
)

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"for=192.0.2.43", [{b"for": b"192.0.2.43"}]),
        (b'For="[2001:db8:cafe::17]:4711"', [{b"for": b"[2001:db8:cafe::17]:4711"}]),
        (
            b"for=192.0.2.60;proto=http;by=203.0.113.43",
            [{b"for": b"192.0.2.60", b"proto": b"http", b"by": b"203.0.113.43"}],
        ),
        (b"for=192.0.2.43, for=_gazonk", [{b"for": b"192.0.2.43"}, {b"for": b"_gazonk"}]),
        (b"for=unknown ; host=a ,\t proto=https", [{b"for": b"unknown", b"host": b"a"}, {b"proto": b"https"}]),
        (b'for="a\\"b, c";x=y', [{b"for": b'a"b, c', b"x": b"y"}]),
        (b'for=""', [{b"for": b""}]),
        (b",, for=a;;proto=b ,", [{b"for": b"a", b"proto": b"b"}]),
        (b"", []),
        (b" , ", []),
        (b";", []),
    ],
)
def test_hops_are_read_as_they_are_written(line: bytes, found: list[dict[bytes, bytes]]) -> None:
    assert elements(line) == found


@pytest.mark.parametrize(
    "line",
    [
        b"for",
        b"for=",
        b"=a",
        b"for =a",
        b"for= a",
        b"for=a b",
        b"for=192.0.2.1:80",
        b"for=[::1]",
        b'for="a',
        b'for="a\\"',
        b'for="a"b',
        b"for=a;for=b",
        b"for=a;FOR=a",
        b"for=a/b",
        b"for=a, \x01",
        b"for=\xe4",
        b"for=a:b",
        b'"for"=a',
        b'for=a"b"',
    ],
)
def test_a_line_that_breaks_the_grammar_says_nothing_at_all(line: bytes) -> None:
    assert elements(line) is None
    assert elements(b"for=192.0.2.1, " + line) is None


@given(st.binary(max_size=60), st.text('for=;,"\\ :[]_a1.', max_size=60))
def test_any_bytes_are_read_or_refused(some: bytes, other: str) -> None:
    for line in (some, other.encode()):
        found = elements(line)
        assert found is None or all(found)


@pytest.mark.parametrize(
    "line", [b'"' * 60_000, b'a="' + b"\\" * 60_001, b"a=b;" * 15_000, b"a=b," * 15_000, b"a=b" + b" " * 60_000]
)
def test_long_lines_take_no_longer_than_they_are(line: bytes) -> None:
    """Whatever takes the square of the length would not come to an end here."""
    for _ in range(20):
        elements(line)


def test_what_stands_before_a_malformed_line_is_not_believed() -> None:
    lines = [b"for=a", b'for="', b"", b"for=b", b"for=c"]
    assert hops_of(lines) == [{b"for": b"b"}, {b"for": b"c"}]
    assert sound(lines) == [b"for=b", b"for=c"]
    assert (hops_of([b"for=a", b"x"]), sound([b"for=a", b"x"])) == ([], [])


@pytest.mark.parametrize(
    ("node", "address"),
    [
        (b"192.0.2.1", b"192.0.2.1"),
        (b"192.0.2.1:80", b"192.0.2.1"),
        (b"192.0.2.1:_port", b"192.0.2.1"),
        (b"[2001:db8::1]", b"2001:db8::1"),
        (b"[2001:db8::1]:443", b"2001:db8::1"),
        (b"unknown", None),
        (b"_hidden", None),
        (b"2001:db8::1", None),
        (b"", None),
        (b"192.0.2.1:", None),
        (b"192.0.2.1:x", None),
        (b"[::1", None),
        (b"[fe80::1%eth0]", None),
        (b"example.com", None),
    ],
)
def test_a_node_has_an_address_or_hides_it(node: bytes, address: bytes | None) -> None:
    assert node_address(node) == address


def test_a_scheme_is_one_or_none() -> None:
    assert [scheme_of({b"proto": proto}) for proto in (b"https", b"WSS", b"", b"a b", b"1x", b"x" * 40)] == [
        b"https",
        b"wss",
        None,
        None,
        None,
        None,
    ]
    assert scheme_of({}) is None


@pytest.mark.parametrize(
    ("peer", "lines", "address", "scheme"),
    [
        ("192.0.2.1", [b"for=6.6.6.6;proto=https"], "192.0.2.1", b"http"),
        ("10.0.0.1", [], "10.0.0.1", b"http"),
        ("10.0.0.1", [b"for=192.0.2.7;proto=https"], "192.0.2.7", b"https"),
        ("10.0.0.1", [b"for=6.6.6.6;proto=https, for=192.0.2.7;proto=http"], "192.0.2.7", b"http"),
        ("10.0.0.1", [b"for=6.6.6.6;proto=https, for=192.0.2.7"], "192.0.2.7", b"http"),
        ("10.0.0.1", [b"for=192.0.2.7;proto=https, for=10.9.9.9;proto=http"], "192.0.2.7", b"https"),
        ("10.0.0.1", [b"for=192.0.2.7;proto=https", b'for="[2001:db8:1::5]:80"'], "192.0.2.7", b"https"),
        ("10.0.0.1", [b"for=10.9.9.9, for=10.8.8.8"], "10.9.9.9", b"http"),
        ("10.0.0.1", [b"for=192.0.2.7;proto=https, for=unknown;proto=http"], "10.0.0.1", b"http"),
        ("10.0.0.1", [b"for=unknown;proto=https"], "10.0.0.1", b"https"),
        ("10.0.0.1", [b"for=192.0.2.7, proto=https"], "10.0.0.1", b"https"),
        ("10.0.0.1", [b"for=999.0.2.7;proto=https"], "10.0.0.1", b"https"),
        ("10.0.0.1", [b'for="6.6.6.6', b"for=192.0.2.7"], "192.0.2.7", b"http"),
        ("10.0.0.1", [b'for="6.6.6.6, for=192.0.2.7;proto=https'], "10.0.0.1", b"http"),
        ("10.0.0.1", [b'for="[::ffff:192.0.2.7]"'], "192.0.2.7", b"http"),
    ],
)
def test_the_walk_goes_from_the_right_through_proxies_that_are_trusted(
    peer: str, lines: list[bytes], address: str, scheme: bytes
) -> None:
    client = Client(peer, networks=NETWORKS, forwarding=Forwarding("rfc7239"))
    special = [
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"x-forwarded-proto", b"https"),
        *((b"forwarded", line) for line in lines),
    ]
    origin = client.origin(special)
    assert (origin.address, origin.scheme) == (ip_address(address), scheme)
    assert client.secure(special) is (scheme == b"https")


@pytest.mark.parametrize(
    ("scheme", "secure"), [(b"https", True), (b"wss", True), (b"WSS, http", True), (b"ws", False), (b"", False)]
)
def test_a_balancer_that_says_wss_means_a_secure_connection(scheme: bytes, secure: bool) -> None:
    client = Client("10.0.0.1", networks=NETWORKS)
    assert client.secure([(b"x-forwarded-proto", scheme)]) is secure


@pytest.mark.parametrize(
    ("family", "trusted", "passing"),
    [
        ("x-forwarded", False, {b"x-forwarded-mine", b"via", b"x-request-id"}),
        (
            "x-forwarded",
            True,
            {
                b"x-forwarded-mine",
                b"via",
                b"x-request-id",
                b"x-forwarded-for",
                b"x-forwarded-user",
                b"x-real-ip",
                b"x-canary-mirror",
            },
        ),
        ("rfc7239", False, {b"x-forwarded-mine", b"via", b"x-request-id"}),
        ("rfc7239", True, {b"x-forwarded-mine", b"via", b"x-request-id", b"forwarded", b"x-canary-mirror"}),
    ],
)
def test_only_the_family_that_trusted_proxies_write_passes(family: str, trusted: bool, passing: set[bytes]) -> None:
    forwarding = Forwarding(family, ("x-forwarded-mine",))  # type: ignore[arg-type]
    names = {
        b"x-forwarded-mine",
        b"via",
        b"x-request-id",
        b"x-forwarded-for",
        b"x-forwarded-user",
        b"x-forwarded",
        b"x-real-ip",
        b"forwarded",
        b"x-canary-mirror",
    }
    found = {name for name in names if forwarding.passes(name, trusted=trusted)}
    assert found - {b"x-forwarded"} == passing
    assert (b"x-forwarded" in found) is (trusted and family == "x-forwarded")


def test_a_client_cannot_have_us_read_thousands_of_hops() -> None:
    """H76: what is beyond the limit is like malformed, and so is all before it."""
    nearest = b"for=203.0.113.9"
    flood = b",".join([b"for=10.1.1.1"] * 5_000)
    assert hops_of([flood, nearest]) == [{b"for": b"203.0.113.9"}]
    assert sound([flood, nearest]) == [nearest]
    for mark in (b",", b";", b'a="' + b"\\a" * MAX_MARKS + b'"'):
        assert near([mark * MAX_MARKS, nearest]) == [nearest]
    assert near([nearest] * MAX_MARKS) == [nearest] * MAX_MARKS
    assert near([nearest] * (MAX_MARKS + 1)) == [nearest] * MAX_MARKS
    assert not hops_of([flood])
    assert not sound([flood])


def test_as_many_hops_as_anybody_has_are_read() -> None:
    line = b", ".join([b"for=10.0.0.%d;proto=https;host=a" % number for number in range(MAX_HOPS)])
    assert len(hops_of([line])) == MAX_HOPS
