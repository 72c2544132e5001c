"""The compiled scanner and the patterns take the same from the same bytes, whatever they are, from any place on.

What a head should look like: test_heads.py, for both.
"""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import MODE
from canaryproxy.http1 import heads
from canaryproxy.http1.response import settle
from canaryproxy.model.failure import Refused
from canaryproxy.model.message import Body, RequestHead, ResponseHead
from tests.http1.streams import Event, seen
from tests.twins.fragments import REQUEST, RESPONSE

scan = importlib.import_module("canaryproxy.http1.scan") if MODE.compiled else heads

pytestmark = pytest.mark.compiled

BEFORE = st.sampled_from([b"", b"x", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n"])


def settled(head: ResponseHead, method: bytes) -> Event:
    """As a reader tells it: the two may leave different parts of it to be settled."""
    try:
        if head.body is not Body.LENGTH:
            settle(head, method)
    except Refused as refused:
        return ("refused", refused.failure, str(refused))
    return seen(head)


@given(REQUEST, BEFORE)
def test_requests(data: bytes, before: bytes) -> None:
    one, other = RequestHead(b"", b"", 1), RequestHead(b"", b"", 1)
    ends = [
        take(before + data, len(before), head) for take, head in ((heads.take_request, one), (scan.take_request, other))
    ]
    assert ends[0] == ends[1]
    if ends[0] >= 0:
        assert seen(one) == seen(other)


@given(RESPONSE, BEFORE, st.sampled_from([b"GET", b"HEAD"]))
def test_responses(data: bytes, before: bytes, method: bytes) -> None:
    one, other = ResponseHead(0, b"", 1), ResponseHead(0, b"", 1)
    ends = [
        take(before + data, len(before), head)
        for take, head in ((heads.take_response, one), (scan.take_response, other))
    ]
    assert ends[0] == ends[1]
    if ends[0] >= 0 and not (method == b"HEAD" and Body.LENGTH in (one.body, other.body)):
        assert settled(one, method) == settled(other, method)


@given(REQUEST, st.integers(0, 500))
def test_a_head_that_is_cut_is_taken_by_neither(data: bytes, size: int) -> None:
    head = RequestHead(b"", b"", 1)
    assert heads.take_request(data[:size], 0, head) == scan.take_request(data[:size], 0, head)


def test_a_place_behind_the_end_holds_no_head() -> None:
    for begin in (0, 1, 5):
        assert scan.take_request(b"", begin, RequestHead(b"", b"", 1)) == -1
        assert scan.take_response(b"", begin, ResponseHead(0, b"", 1)) == -1


def test_the_same_host_and_reason_are_the_same_objects() -> None:
    found = [RequestHead(b"", b"", 1) for _ in range(2)]
    for head in found:
        scan.take_request(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", 0, head)
    assert found[0].host is found[1].host
    replies = [ResponseHead(0, b"", 1) for _ in range(2)]
    for reply in replies:
        scan.take_response(b"HTTP/1.1 404 Not Found\r\n\r\n", 0, reply)
    assert replies[0].reason is replies[1].reason
