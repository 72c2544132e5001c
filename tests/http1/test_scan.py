"""The compiled scanner and the patterns take the same from the same bytes, whatever they are, from any place on.

What a head should look like: test_heads.py, for both.
"""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import MODE
from canaryproxy.http1 import grammar, heads
from canaryproxy.http1.response import settle
from canaryproxy.model.failure import Refused
from canaryproxy.model.message import Body, RequestHead, ResponseHead
from tests.http1.streams import Event, seen
from tests.twins.fragments import REQUEST, RESPONSE

scan = importlib.import_module("canaryproxy.http1.scan") if MODE.compiled else heads

pytestmark = pytest.mark.compiled

BEFORE = st.sampled_from([b"", b"x", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n"])


FIELDS = st.sampled_from(
    [b"A: 1\r\n", b"B: 2\r\nC: 3\r\n", b"Via: x\r\n", b"te: y\r\nConnection: keep-alive\r\n", b"Content_Length: 5\r\n"]
)  # fmt: skip
ALTERNATING = st.integers(0, 90).flatmap(lambda size: st.lists(FIELDS, min_size=size, max_size=size)).map(b"".join)
"""Far more runs of plain lines than the scanner remembers the places of."""


def told(head: RequestHead | None) -> Event | None:
    """All of a request's head, None where none was taken."""
    return None if head is None else (*seen(head), head.encoded, head.end, head.upgrade)


def settled(head: ResponseHead, method: bytes) -> Event:
    """As a reader tells it: the two may leave different parts of it to be settled."""
    try:
        if head.body is not Body.LENGTH:
            settle(head, method)
    except Refused as refused:
        return ("refused", refused.failure, str(refused))
    return seen(head)


FIELDS = st.sampled_from(
    [b"A: 1\r\n", b"B: 2\r\nC: 3\r\n", b"Via: x\r\n", b"te: y\r\nX-Real-IP: z\r\n", b"Content_Length: 5\r\n"]
)
ALTERNATING = st.lists(FIELDS, max_size=90).map(b"".join)
"""Far more special fields between plain ones than the scanner remembers the places of."""


@given(REQUEST, BEFORE)
def test_requests(data: bytes, before: bytes) -> None:
    one, other = (take(before + data, len(before)) for take in (heads.take_request, scan.take_request))
    assert told(one) == told(other)


@given(RESPONSE, BEFORE, st.sampled_from([b"GET", b"HEAD"]))
def test_responses(data: bytes, before: bytes, method: bytes) -> None:
    one, other = (take(before + data, len(before)) for take in (heads.take_response, scan.take_response))
    if one is None or other is None:
        assert one is other
        return
    assert one.end == other.end
    if not (method == b"HEAD" and Body.LENGTH in (one.body, other.body)):
        assert settled(one, method) == settled(other, method)


@given(ALTERNATING)
def test_runs_of_plain_lines_between_special_fields(fields: bytes) -> None:
    data = b"GET / HTTP/1.1\r\n" + fields + b"\r\n"
    assert told(heads.take_request(data, 0)) == told(scan.take_request(data, 0))
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + fields + b"\r\n"
    one, other = heads.take_response(data, 0), scan.take_response(data, 0)
    assert one is not None
    assert (one.end, one.plain, settled(one, b"GET")) == (other.end, other.plain, settled(other, b"GET"))


@given(REQUEST, st.integers(0, 500))
def test_a_head_that_is_cut_is_taken_by_neither(data: bytes, size: int) -> None:
    assert told(heads.take_request(data[:size], 0)) == told(scan.take_request(data[:size], 0))


def test_a_place_behind_the_end_holds_no_head() -> None:
    for begin in (0, 1, 5):
        assert scan.take_request(b"", begin) is None
        assert scan.take_response(b"", begin) is None


def test_the_same_host_and_reason_are_the_same_objects() -> None:
    one, other = (scan.take_request(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", 0) for _ in range(2))
    assert one.host is other.host
    first, second = (scan.take_response(b"HTTP/1.1 404 Not Found\r\n\r\n", 0) for _ in range(2))
    assert first.reason is second.reason


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
def test_a_well_known_method_is_always_the_same_object(method: bytes) -> None:
    one, other = (scan.take_request(method + b" / HTTP/1.1\r\n\r\n", 0).method for _ in range(2))
    assert one == method
    assert one is other


@pytest.mark.parametrize("method", [b"GETS", b"GE", b"get", b"PATCHES", b"OPTION", b"P", b"POSE"])
def test_a_method_that_is_nearly_known_is_not_taken_for_it(method: bytes) -> None:
    assert scan.take_request(method + b" / HTTP/1.1\r\n\r\n", 0).method == method


@given(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(
            st.sampled_from([b"", b"X", b"x-a", b"X Y", b"\x80", b":"]), st.sampled_from([b":", b" :", b"", b"::"]),
            st.lists(st.sampled_from([b"a", b" ", b"\t", b"\x7f", b"\x80", b"\x00", b"\n", b"\r", b"12345678"]), max_size=12),
            st.sampled_from([b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"]),
        ).map(lambda parts: parts[0] + parts[1] + b"".join(parts[2]) + parts[3]),
    )
)  # fmt: skip
def test_a_field_line_is_one_as_the_grammar_has_it(line: bytes) -> None:
    assert scan.field_line(line) == bool(grammar.field_line(line))
