"""Requests in: what is accepted, what is refused with which status, in any chunking. H numbers: docs/http.md."""

import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import RequestHead
from canaryproxy.model.settings import Limits
from tests.http.h1.streams import bytewise, pieces, requests

HOST = b"Host: shop.test\r\n"


def get(fields: bytes = b"", target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /cart HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


ACCEPTED = {
    "simple": get(),
    "leading empty line": b"\r\n" + get(),
    "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "host later": b"GET / HTTP/1.1\r\nX-A: b\r\nhOsT:\tshop.test:8080 \r\n\r\n",
    "IPv6 host": b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    "obs-text and empty value": get(b"X-A: caf\xe9\r\nX-B:\r\n"),
    "length": post(b"Content-Length: 5\r\n", b"hello"),
    "length zero": post(b"Content-Length: 0\r\n"),
    "length with white space": post(b"Content-Length: \t 5 \t\r\n", b"hello"),
    "GET with a body": get(b"Content-Length: 5\r\n") + b"hello",
    "chunked": chunked(b"5\r\nhello\r\n0\r\n\r\n"),
    "chunked in capitals": post(b"Transfer-Encoding: Chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
    "extensions": chunked(b'5;a=b;c="d e" ; f\r\nhello\r\n0;last\r\n\r\n'),
    "trailers": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Too: 2\r\n\r\n"),
    "pipeline": get() + post(b"Content-Length: 2\r\n", b"ok") + chunked(b"1\r\nx\r\n0\r\n\r\n") + get(),
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form": b"GET http://other.test:81/a?b HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form without path": b"GET HTTP://other.test?q HTTP/1.1\r\n" + HOST + b"\r\n",
    "odd target": get(target=b"//x/../%2F;v=1?a=b?/"),
    "unknown method": b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n",
    "expectation": post(b"Expect: 100-Continue\r\nContent-Length: 2\r\n", b"ok"),
    "expectation ignored in 1.0": b"GET / HTTP/1.0\r\nExpect: magic\r\n\r\n",
}

REFUSED = {
    # H1-H6: framing
    "length and chunked": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "BAD_REQUEST"),
    "two lengths": (post(b"Content-Length: 5\r\nContent-Length: 6\r\n"), "BAD_REQUEST"),
    "two equal lengths": (post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), "BAD_REQUEST"),
    "list of lengths": (post(b"Content-Length: 5, 5\r\n"), "BAD_REQUEST"),
    "signed length": (post(b"Content-Length: +5\r\n"), "BAD_REQUEST"),
    "empty length": (post(b"Content-Length:\r\n"), "BAD_REQUEST"),
    "underscored length": (post(b"Content-Length: 1_0\r\n"), "BAD_REQUEST"),
    "unicode length": (post(b"Content-Length: \xd9\xa5\r\n"), "BAD_REQUEST"),
    "length of 2^63": (post(b"Content-Length: 9223372036854775808\r\n"), "BAD_REQUEST"),
    "length of 40 digits": (post(b"Content-Length: " + b"1" * 40 + b"\r\n"), "BAD_REQUEST"),
    "xchunked": (post(b"Transfer-Encoding: xchunked\r\n"), "BAD_REQUEST"),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked\r\n"), "BAD_REQUEST"),
    "chunked not last": (post(b"Transfer-Encoding: chunked, gzip\r\n"), "BAD_REQUEST"),
    "empty coding": (post(b"Transfer-Encoding:\r\n"), "BAD_REQUEST"),
    "trailing comma": (post(b"Transfer-Encoding: chunked,\r\n"), "BAD_REQUEST"),
    "quoted coding": (post(b'Transfer-Encoding: "chunked"\r\n'), "BAD_REQUEST"),
    "other coding first": (post(b"Transfer-Encoding: gzip, chunked\r\n"), "CODING_UNKNOWN"),
    "two coding fields": (post(b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n"), "CODING_UNKNOWN"),
    "chunked in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "BAD_REQUEST"),
    # H7: the grammar of heads
    "bare LF": (b"GET / HTTP/1.1\nHost: shop.test\n\n", "BAD_REQUEST"),
    "bare LF in fields": (get(b"X-A: b\nX-B: c\r\n"), "BAD_REQUEST"),
    "folded line": (get(b"X-A: b\r\n c\r\n"), "BAD_REQUEST"),
    "space before colon": (get(b"X-A : b\r\n"), "BAD_REQUEST"),
    "empty name": (get(b": b\r\n"), "BAD_REQUEST"),
    "no colon": (get(b"nonsense\r\n"), "BAD_REQUEST"),
    "NUL in value": (get(b"X-A: a\0b\r\n"), "BAD_REQUEST"),
    "bare CR in value": (get(b"X-A: a\rb\r\n"), "BAD_REQUEST"),
    "DEL in value": (get(b"X-A: a\x7fb\r\n"), "BAD_REQUEST"),
    "obs-text in name": (get(b"X\xe9: b\r\n"), "BAD_REQUEST"),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", "BAD_REQUEST"),
    "many empty lines": (b"\r\n" * 40 + get(), "BAD_REQUEST"),
    # H8-H12: version, method, target, host
    "HTTP/2.0": (get(version=b"HTTP/2.0"), "VERSION_UNKNOWN"),
    "HTTP/0.9": (get(version=b"HTTP/0.9"), "VERSION_UNKNOWN"),
    "lower-case version": (get(version=b"http/1.1"), "BAD_REQUEST"),
    "CONNECT": (b"CONNECT shop.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", "METHOD_REFUSED"),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", "METHOD_REFUSED"),
    "fragment": (get(target=b"/a#b"), "BAD_REQUEST"),
    "raw non-ASCII target": (get(target=b"/\xc3\xa9"), "BAD_REQUEST"),
    "encoded NUL": (get(target=b"/a%00b"), "BAD_REQUEST"),
    "relative target": (get(target=b"a/b"), "BAD_REQUEST"),
    "GET *": (get(target=b"*"), "BAD_REQUEST"),
    "https target": (get(target=b"https://shop.test/"), "BAD_REQUEST"),
    "user in target": (get(target=b"http://me@shop.test/"), "BAD_REQUEST"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", "BAD_REQUEST"),
    "two Hosts": (get(b"Host: shop.test\r\n"), "BAD_REQUEST"),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "BAD_REQUEST"),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: shop.test/x\r\n\r\n", "BAD_REQUEST"),
    "Host with a user": (b"GET / HTTP/1.1\r\nHost: me@shop.test\r\n\r\n", "BAD_REQUEST"),
    "Host with a bad port": (b"GET / HTTP/1.1\r\nHost: shop.test:99999\r\n\r\n", "BAD_REQUEST"),
    "unknown expectation": (post(b"Expect: magic\r\n"), "EXPECTATION_UNKNOWN"),
    # chunks
    "chunk size 0x5": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "signed chunk size": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "empty chunk size": (chunked(b"\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "chunk line ends in LF": (chunked(b"5\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "chunk size of 2^64": (chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "chunk size of 2^64-1": (chunked(b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "space behind a chunk size": (chunked(b"5 \r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "NUL in an extension": (chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n"), "BAD_REQUEST"),
    "trailer without colon": (chunked(b"0\r\nnonsense\r\n\r\n"), "BAD_REQUEST"),
    "trailer with LF": (chunked(b"0\r\nX-A: b\n\r\n"), "BAD_REQUEST"),
    "trailer folded": (chunked(b"0\r\nX-A: b\r\n c\r\n\r\n"), "BAD_REQUEST"),
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_valid_requests_are_read_alike_whole_and_byte_by_byte(data: bytes) -> None:
    """H7 H8."""
    whole = requests([data])
    assert whole
    assert all(event[0] != "refused" for event in whole)
    assert requests(bytewise(data)) == whole


@pytest.mark.parametrize(("data", "failure"), REFUSED.values(), ids=REFUSED)
def test_requests_that_could_be_misread_are_refused_whole_and_byte_by_byte(data: bytes, failure: str) -> None:
    """H1 H2 H3 H4 H5 H7 H9 H10 H11 H12 H36."""
    assert requests([data])[-1] == ("refused", failure)
    assert requests(bytewise(data))[-1] == ("refused", failure)


@pytest.mark.parametrize(
    "body", [b"5\r\nhello0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\nzz\r\n"]
)
def test_payload_before_a_broken_chunk_is_yielded_before_the_refusal(body: bytes) -> None:
    """H6."""
    for parts in ([chunked(body)], bytewise(chunked(body))):
        assert requests(parts)[1:] == [("data", b"hello"), ("refused", "BAD_REQUEST")]


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (get(target=b"/" + b"a" * 200), "TARGET_TOO_LONG"),
        (b"GET /" + b"a" * 300, "TARGET_TOO_LONG"),
        (b"M" * 400, "TARGET_TOO_LONG"),
        (get(b"X-A: " + b"b" * 400 + b"\r\n"), "FIELDS_TOO_LARGE"),
        (get(b"X-A: " + b"b" * 400), "FIELDS_TOO_LARGE"),
        (get(b"X: y\r\n" * 9), "FIELDS_TOO_LARGE"),
        (get(b"a:\r\n" * 9), "FIELDS_TOO_LARGE"),
        (post(b"Content-Length: 101\r\n"), "BODY_TOO_LARGE"),
        (chunked(b"40\r\n" + b"x" * 64 + b"\r\n40\r\n"), "BODY_TOO_LARGE"),
        (chunked(b"0\r\n" + b"X: y\r\n" * 9 + b"\r\n"), "FIELDS_TOO_LARGE"),
        (chunked(b"0\r\nX: " + b"y" * 400), "FIELDS_TOO_LARGE"),
    ],
)
def test_limits_have_their_own_failures_in_any_chunking(data: bytes, failure: str) -> None:
    """H13."""
    limits = Limits(header_bytes=300, headers=8, uri_bytes=100, body_bytes=100)
    assert requests([data], limits)[-1] == ("refused", failure)
    assert requests(bytewise(data), limits)[-1] == ("refused", failure)


def test_a_request_at_every_limit_is_accepted() -> None:
    limits = Limits(header_bytes=300, headers=8, uri_bytes=100, body_bytes=100)
    data = get(b"X: y\r\n" * 6 + b"Content-Length: 100\r\n", target=b"/" + b"a" * 99) + b"x" * 100
    assert requests([data], limits)[-1] == ("end", ())


@pytest.mark.parametrize("line", [b"x" * 5000, b"1;" + b"e" * 5000])
def test_a_chunk_line_is_bounded_even_before_it_ends(line: bytes) -> None:
    """H5."""
    assert requests([chunked(line)])[-1] == ("refused", "BAD_REQUEST")
    assert requests([chunked(line + b"\r\n")])[-1] == ("refused", "BAD_REQUEST")


def test_extensions_of_a_body_are_bounded_together() -> None:
    """H5."""
    assert requests([chunked((b"1;" + b"e" * 4000 + b"\r\nx\r\n") * 5)])[-1] == ("refused", "BAD_REQUEST")


def test_twins_with_an_underscore_are_dropped() -> None:
    """H14."""
    event = requests([get(b"Content_Length: 5\r\nX_Forwarded-For: evil\r\nX-My_Own: kept\r\n")])[0]
    assert event[5] == b"X-My_Own: kept\r\n"
    assert event[6] == ()


def test_plain_fields_keep_their_bytes_and_order() -> None:
    """H23."""
    event = requests([get(b"X-B:  1 \r\nConnection: close\r\nx-a: 2\r\nX-B: 3\r\n")])[0]
    assert event[5] == b"X-B:  1 \r\nx-a: 2\r\nX-B: 3\r\n"
    assert event[6] == ((b"connection", b"close"),)


@pytest.mark.parametrize(
    ("version", "value", "close"),
    [
        (b"HTTP/1.1", b"keep-alive", False),
        (b"HTTP/1.1", b"X-Hop", False),
        (b"HTTP/1.1", b"Keep-Alive, CLOSE", True),
        (b"HTTP/1.0", b"keep-alive", False),
        (b"HTTP/1.0", b"X-Hop", True),
        (b"HTTP/1.0", b"keep-alive, close", True),
    ],
)
def test_persistence_follows_version_and_connection(version: bytes, value: bytes, close: bool) -> None:
    assert requests([get(b"Connection: " + value + b"\r\n", version=version)])[0][-1] is close


def test_close_in_a_second_connection_field_counts() -> None:
    assert requests([get(b"Connection: close\r\nConnection: keep-alive\r\n")])[0][-1] is True


@pytest.mark.parametrize(
    ("target", "host", "reduced"),
    [
        (b"http://other.test/a?b", b"other.test", b"/a?b"),
        (b"http://other.test:8080", b"other.test:8080", b"/"),
        (b"HTTP://other.test?q", b"other.test", b"/?q"),
    ],
)
def test_absolute_form_wins_over_host(target: bytes, host: bytes, reduced: bytes) -> None:
    """H11."""
    event = requests([get(target=target)])[0]
    assert (event[4], event[2]) == (host, reduced)


def test_options_in_absolute_form_without_path_asks_about_the_server() -> None:
    assert requests([b"OPTIONS http://shop.test HTTP/1.1\r\n" + HOST + b"\r\n"])[0][2] == b"*"


def test_the_reader_says_what_is_pending_and_whether_it_is_mid_message() -> None:
    reader = RequestParser(Limits())
    assert not reader.mid_message
    reader.feed(post(b"Content-Length: 5\r\n", b"he"))
    head = reader.next()
    assert isinstance(head, RequestHead)
    assert head.method == b"POST"
    assert reader.pending() == 2
    assert reader.mid_message


def test_fields_lists_all_with_lower_case_names() -> None:
    reader = RequestParser(Limits())
    reader.feed(get(b"X-A: 1\r\nVia: 1.0 x\r\n"))
    head = reader.next()
    assert head is not None
    assert head.fields() == [(b"host", b"shop.test"), (b"x-a", b"1"), (b"via", b"1.0 x")]  # type: ignore[union-attr]


FRAGMENTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\n",
        HOST,
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"X: y\r\n",
        b"5\r\n",
        b"hello",
        b"0\r\n",
        b";e",
        b"\0",
        b"Connection: close\r\n",
        b"Host",
        b"HTTP/1.0",
        b"%00",
        b"*",
    ]
)


@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=6)), max_size=25).map(b"".join), st.lists(st.integers(0)))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r", [30])
def test_any_bytes_give_the_same_events_in_any_chunking(data: bytes, cuts: list[int]) -> None:
    """H7."""
    whole = requests([data])
    assert requests(pieces(data, cuts)) == whole
    assert requests(bytewise(data)) == whole


@given(st.sampled_from(sorted(ACCEPTED)), st.sampled_from(sorted(ACCEPTED)), st.lists(st.integers(0), max_size=8))
def test_valid_requests_in_a_row_are_read_in_any_chunking(first: str, second: str, cuts: list[int]) -> None:
    data = ACCEPTED[first] + ACCEPTED[second]
    assert requests(pieces(data, cuts)) == requests([ACCEPTED[first]]) + requests([ACCEPTED[second]])


def test_a_refusal_carries_its_failure_and_a_reason() -> None:
    refused = RequestRejectedError(Failure.LOOP)
    assert (str(refused), refused.failure, refused.why) == ("LOOP", Failure.LOOP, "")


def test_nothing_is_held_of_a_request_that_was_taken() -> None:
    """A connection may idle for minutes behind it."""
    reader, data = RequestParser(Limits()), b"GET / HTTP/1.1\r\nHost: shop.test\r\nX: %b\r\n\r\n" % (b"x" * 99)
    before = sys.getrefcount(data)
    reader.feed(data)
    assert reader.next() is not None
    assert sys.getrefcount(data) == before


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: a" + b" " * 60_000 + b"b\r\n",
        b"Connection: a" + b" ,\t" * 20_000 + b"b\r\n",
        (b"Connection: " + b"a," * 300 + b"\r\n") * 98,
        (b"Upgrade: " + b"a," * 300 + b"\r\n") * 98,
    ],
)
def test_no_head_within_the_limits_is_dear(fields: bytes) -> None:
    """The attack: options of Connection that took a second to tell apart, and 0.2 s where all of them were read again
    for each of the fields.
    """
    begun = time.process_time()
    reader = RequestParser(Limits())
    reader.feed(get(fields))
    assert reader.next() is not None
    assert time.process_time() - begun < 0.1


def test_a_head_that_comes_byte_by_byte_is_taken_apart_at_its_end() -> None:
    data = b"\r\n" + get(b"A: b\r\n") + get(b"C: d\r\n")
    reader, found = RequestParser(Limits()), []
    for place in range(len(data)):
        reader.feed(data[place : place + 1])
        event = reader.next()
        if event is not None:
            found.append((place, event))
    assert [place for place, _ in found] == [1 + len(get(b"A: b\r\n")), len(data) - 1]
