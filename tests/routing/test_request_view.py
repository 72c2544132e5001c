"""One normalised view of what is forwarded. H55."""

import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.client import Client
from canaryproxy.model.head import RequestHead
from canaryproxy.model.settings import Limits
from canaryproxy.routing.field_scan import FieldNames
from canaryproxy.routing.request_view import RequestView

TRUSTED = Client("10.0.0.1", networks=[ip_network("10.0.0.0/8")])
STRANGER = Client("192.0.2.1", b"https", [ip_network("10.0.0.0/8")])


def facts(fields: bytes = b"", target: bytes = b"/", client: Client = STRANGER) -> RequestView:
    reader = RequestParser(Limits())
    reader.feed(b"GET " + target + b" HTTP/1.1\r\nHost: shop.test\r\n" + fields + b"\r\n")
    head = reader.next()
    assert isinstance(head, RequestHead)
    return RequestView(head, client)


def test_fields_are_seen_by_lower_case_name_in_their_order() -> None:
    seen = facts(b"X-A: 1\r\nx-a:\t2 \r\nX-B:\r\n").headers()
    assert seen == {b"x-a": (b"1", b"2"), b"x-b": (b"",), b"host": (b"shop.test",)}


def test_what_is_not_passed_on_cannot_be_seen() -> None:
    fields = (
        b"Connection: X-A, close\r\nX-A: 1\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-Canary-Version: canary\r\n"
    )
    assert facts(fields).headers() == {b"host": (b"shop.test",)}


def test_forwarding_fields_are_seen_from_a_trusted_proxy_only() -> None:
    fields = b"X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nX-Request-Id: abc\r\n"
    assert set(facts(fields).headers()) == {b"host", b"x-request-id"}
    assert set(facts(fields, client=TRUSTED).headers()) == {b"host", b"x-request-id", b"x-forwarded-for", b"x-real-ip"}


SUBJECTS = st.lists(
    st.sampled_from(
        [
            b"X-A: 1",
            b"x-a:\t2 ",
            b"X-B:",
            b"Close: 3",
            b"Via: 1.1 x",
            b"TE: gzip",
            b"Content-Length: 0",
            b"X-Real-IP: 192.0.2.9",
            b"Connection: keep-alive",
            b"Connection: close",
            b"Connection: X-A",
            b"Connection: close, x-b",
            b"Expect: 100-continue",
            b"Cookie: a=1; b=2",
            b'cookie: a=3;c="4"',
            b"X-Forwarded-Proto: https",
            b"Proxy-Authorization: y",
            b"X-Canary-Version: z",
        ]
    ).map(lambda line: line + b"\r\n"),
    max_size=8,
    unique=True,
).map(b"".join)
FIELDS = [
    b"x-a",
    b"x-b",
    b"x",
    b"close",
    b"host",
    b"via",
    b"te",
    b"connection",
    b"content-length",
    b"x-real-ip",
    b"expect",
    b"cookie",
    b"x-forwarded-proto",
    b"proxy-authorization",
    b"x-canary-version",
]


@given(SUBJECTS, st.sampled_from([STRANGER, TRUSTED]), st.permutations(FIELDS))
def test_one_field_is_what_all_of_them_have_of_it(fields: bytes, client: Client, names: list[bytes]) -> None:
    one, every = facts(fields, client=client), facts(fields, client=client).headers()
    for name in names:
        assert one.header(name) == one.header(name) == every.get(name, ())


@given(SUBJECTS)
def test_one_cookie_is_what_all_of_them_have_of_it(fields: bytes) -> None:
    one, every = facts(fields), facts(fields).cookies()
    for name in (b"a", b"b", b"c", b"d"):
        assert one.values("cookie", name) == one.cookie(name) == every.get(name, ())


def test_values_are_reported_by_their_subject() -> None:
    seen = facts(b"X: header\r\nCookie: x=cookie\r\n", b"/?x=query&x=again")
    assert [seen.values(subject, b"x") for subject in ("header", "cookie", "query")] == [
        (b"header",),
        (b"cookie",),
        (b"query", b"again"),
    ]


def test_a_request_without_a_host_has_none() -> None:
    assert RequestView(RequestHead(b"GET", b"/", 10), STRANGER).header(b"host") == ()
    assert facts().header(b"host") == (b"shop.test",)


def test_cookies_are_split_and_unquoted() -> None:
    seen = facts(b'Cookie: a=1; b="2"; c; =d; e=x=y;a=3\r\nCookie: f="\r\n').cookies()
    assert seen == {b"a": (b"1", b"3"), b"b": (b"2",), b"": (b"d",), b"e": (b"x=y",), b"f": (b'"',)}


def test_the_query_is_decoded_once() -> None:
    seen = facts(target=b"/p?a=1&a=%31&b+c=d%2Be&f&&=g&h=%2541").query()
    assert seen == {b"a": (b"1", b"1"), b"b c": (b"d+e",), b"f": (b"",), b"": (b"g",), b"h": (b"%41",)}


@pytest.mark.parametrize(
    ("hops", "client", "source"),
    [
        (b"", STRANGER, "192.0.2.1"),
        (b"203.0.113.9", STRANGER, "192.0.2.1"),
        (b"", TRUSTED, "10.0.0.1"),
        (b"203.0.113.9", TRUSTED, "203.0.113.9"),
        (b"1.1.1.1, 203.0.113.9, 10.2.2.2", TRUSTED, "203.0.113.9"),
        (b"10.9.9.9, 10.2.2.2", TRUSTED, "10.9.9.9"),
        (b"203.0.113.9, unknown, 10.2.2.2", TRUSTED, "10.2.2.2"),
        (b"203.0.113.9:4711", TRUSTED, "203.0.113.9"),
        (b"[2001:db8::9]:4711", TRUSTED, "2001:db8::9"),
        (b"2001:db8::9", TRUSTED, "2001:db8::9"),
        (b"::ffff:203.0.113.9", TRUSTED, "203.0.113.9"),
    ],
)
def test_the_source_is_the_first_hop_from_the_right_that_is_not_trusted(
    hops: bytes, client: Client, source: str
) -> None:
    fields = b"X-Forwarded-For: " + hops + b"\r\n" if hops else b""
    assert facts(fields, client=client).source() == ip_address(source)


def test_a_client_without_an_address_has_no_source() -> None:
    assert facts(client=Client("unknown")).source() is None


@pytest.mark.parametrize(
    ("proto", "client", "secure"),
    [
        (b"", STRANGER, True),
        (b"http", STRANGER, True),
        (b"", TRUSTED, False),
        (b"https", TRUSTED, True),
        (b"HTTPS, http", TRUSTED, True),
        (b"http", TRUSTED, False),
    ],
)
def test_https_is_known_from_the_connection_or_a_trusted_proxy(proto: bytes, client: Client, secure: bool) -> None:
    fields = b"X-Forwarded-Proto: " + proto + b"\r\n" if proto else b""
    assert facts(fields, client=client).secure() is secure


MANY = 200_000
"""Values of one name: were each put behind copies of those before, they would take minutes."""


@pytest.mark.parametrize("subject", ["header", "cookie", "query"])
def test_very_many_values_of_one_name_take_no_longer_than_they_are_long(subject: str) -> None:
    """Clients choose how often they say a name; no other client may have to wait for that."""
    head = RequestHead(b"GET", b"/?" + b"a=1&" * MANY)
    head.plain = b"a: 1\r\n" * MANY + b"cookie: " + b"a=1;" * MANY + b"\r\n"
    begun = time.process_time()
    one, whole = RequestView(head, STRANGER), RequestView(head, STRANGER)
    assert len(one.values(subject, b"a")) == len(whole.all_values(subject)[b"a"]) == MANY
    assert time.process_time() - begun < 5


class Counting:
    """What is worked out of a cookie, and how often."""

    subject, name = "cookie", b"a"

    def __init__(self) -> None:
        self.asked: list[Sequence[bytes]] = []

    def matched(self, values: Sequence[bytes]) -> frozenset[bytes]:
        """The values themselves."""
        self.asked.append(values)
        return frozenset(values)


def test_what_many_rules_ask_is_worked_out_once() -> None:
    what, seen = Counting(), facts(b"Cookie: a=1; a=2\r\n")
    assert [seen.cached_match(what) for _ in range(200)] == [{b"1", b"2"}] * 200
    assert what.asked == [(b"1", b"2")]


class Watched(Counting):
    """Names that say when they are looked for."""

    def __init__(self, names: list[bytes]) -> None:
        super().__init__()
        self.names = FieldNames(names)

    def __contains__(self, name: bytes) -> bool:
        return name in self.names

    def cookies(self, fields: tuple[bytes, ...]) -> dict[bytes, tuple[bytes, ...]]:
        """What the names find."""
        self.asked.append(fields)
        return self.names.cookies(fields)


def test_cookies_that_are_expected_are_parsed_once_however_many_are_asked_for() -> None:
    """The attack: two hundred rules, each for another cookie, and 60 KiB to search for each."""
    watched: Any = Watched([b"n%d" % number for number in range(200)])
    seen = facts(b"Cookie: n7=1; x=2; n8=3; n7=4\r\nCookie: n199=5; y=6\r\n")
    seen.expect_cookies(watched)
    found = [seen.cookie(b"n%d" % number) for number in range(200)]
    assert {number: values for number, values in enumerate(found) if values} == {
        7: (b"1", b"4"),
        8: (b"3",),
        199: (b"5",),
    }
    assert [seen.cookie(name) for name in (b"x", b"y", b"z", b"x", b"y", b"n7", b"q")] == [
        (b"2",),
        (b"6",),
        (),
        (b"2",),
        (b"6",),
        (b"1", b"4"),
        (),
    ]
    assert len(watched.asked) == 1


def test_without_expectations_a_few_cookies_are_searched_for_and_then_all_are_parsed() -> None:
    seen = facts(b"Cookie: " + b"; ".join(b"n%d=%d" % (number, number) for number in range(20)) + b"\r\n")
    assert [seen.cookie(b"n%d" % number) for number in range(20)] == [(b"%d" % number,) for number in range(20)]
    assert seen.cookie(b"none") == ()
