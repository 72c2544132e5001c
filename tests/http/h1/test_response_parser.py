"""Responses in: what is accepted, corrected or refused, in any chunking. H numbers: docs/http.md."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.h1.response_parser import HEAD_BYTES, HEAD_FIELDS, MAX_INTERIM, ResponseParser
from canaryproxy.model.failure import RequestRejectedError
from canaryproxy.model.head import ResponseHead
from tests.http.h1.streams import bytewise, pieces, responses

OK = b"HTTP/1.1 200 OK\r\n"

ACCEPTED = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "length zero": OK + b"Content-Length: 0\r\n\r\n",
    "routine": OK + b"Date: x\r\nContent-Length: 5\r\nConnection: keep-alive\r\nETag: y\r\n\r\nhello",
    "keep-alive first": OK + b"Connection: keep-alive\r\nServer: s\r\ncontent-length: 5\r\n\r\nhello",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    "until close": OK + b"\r\nhello",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    "interim with a length": b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
    "no content": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "reason with obs-text": b"HTTP/1.1 200 d\xe9j\xe0 vu\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.0 kept alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    "closing": OK + b"Connection: close\r\nVia: 1.1 x\r\nTrailer: X-A\r\nContent-Length: 0\r\n\r\n",
}

REFUSED = {
    "length and chunked": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n",
    "two equal lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "three lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "signed length": OK + b"Content-Length: +5\r\n\r\n",
    "unicode length": OK + b"Content-Length: \xd9\xa5\r\n\r\n",
    "length of 2^64": OK + b"Content-Length: 18446744073709551621\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "space before colon": OK + b"X-A : 1\r\nContent-Length: 0\r\n\r\n",
    "fold before any field": OK + b" X-A: 1\r\n\r\n",
    "NUL in a folded line": OK + b"X-A: 1\r\n \0\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 099": b"HTTP/1.1 099 Low\r\n\r\n",
    "status 600": b"HTTP/1.1 600 High\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "garbage": b"garbage\r\n\r\n",
    "leading empty line": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_valid_responses_are_read_alike_whole_and_byte_by_byte(data: bytes) -> None:
    whole = responses([data])
    assert whole
    assert all(event[0] != "refused" for event in whole)
    assert responses(bytewise(data)) == whole


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_responses_that_could_be_misread_are_refused_whole_and_byte_by_byte(data: bytes) -> None:
    """H16."""
    assert responses([data])[-1] == ("refused", "RESPONSE_INVALID")
    assert responses(bytewise(data))[-1] == ("refused", "RESPONSE_INVALID")


def test_a_folded_line_from_an_upstream_becomes_a_space() -> None:
    """H16."""
    data = OK + b"X-A: a\r\n \tb\r\n\tc\r\nContent-Length: 0\r\n\r\n"
    for parts in ([data], bytewise(data)):
        assert responses(parts)[0][4] == b"X-A: a b c\r\n"


def test_an_upstream_that_folds_may_be_read_again_on_the_same_connection() -> None:
    reader = ResponseParser()
    for _ in range(2):
        reader.expect(b"GET")
        for part in bytewise(OK + b"X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n"):
            reader.feed(part)
            head = reader.next()
        assert head is not None


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_a_response_to_head_has_no_body_and_keeps_its_length(data: bytes) -> None:
    """H29 H30."""
    head = data[: data.rindex(b"HTTP/1.") :] + data[data.rindex(b"HTTP/1.") :].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    final = responses([head], b"HEAD")[-1]
    assert final[0] == "response"
    assert final[6] == "NONE"
    assert final[7] == (-1 if final[1] == 204 else responses([head], b"GET")[-1][7])


@pytest.mark.parametrize(
    "data",
    [
        OK + b"X: " + b"y" * HEAD_BYTES,
        OK + b"X: " + b"y" * HEAD_BYTES + b"\r\n\r\n",
        OK + b"X: y\r\n" * (HEAD_FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 " + b"y" * HEAD_BYTES,
    ],
)
def test_a_response_head_is_bounded(data: bytes) -> None:
    """H16."""
    assert responses([data])[-1] == ("refused", "RESPONSE_HEAD_TOO_LARGE")


def test_interim_responses_are_bounded() -> None:
    """H16."""
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert len(responses([interim * MAX_INTERIM])) == MAX_INTERIM
    assert responses([interim * (MAX_INTERIM + 1)])[-1] == ("refused", "RESPONSE_INVALID")


@pytest.mark.parametrize(
    ("data", "close"),
    [
        (ACCEPTED["routine"], False),
        (ACCEPTED["until close"], True),
        (ACCEPTED["HTTP/1.0"], True),
        (ACCEPTED["HTTP/1.0 kept alive"], False),
        (ACCEPTED["closing"], True),
        (OK + b"Connection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_whether_the_connection_can_be_used_again(data: bytes, close: bool) -> None:
    assert responses([data])[0][-1] is close


def test_bytes_behind_a_complete_response_stay_pending() -> None:
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(ACCEPTED["length"] + b"HTTP/1.1 200 OK\r\n")
    assert reader.next() is not None
    assert reader.rest() == b"hello"
    assert reader.pending() == 17


def test_the_rest_is_only_given_when_all_of_it_is_there() -> None:
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(ACCEPTED["length"][:-1])
    head = reader.next()
    assert isinstance(head, ResponseHead)
    assert head.status == 200
    assert reader.rest() is None
    assert reader.next() == b"hell"
    assert not reader.until_close


def test_the_body_of_a_response_without_length_lasts_until_the_close() -> None:
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(ACCEPTED["until close"])
    head = reader.next()
    assert reader.until_close
    assert head is not None
    assert head.fields() == []  # type: ignore[union-attr]


FRAGMENTS = st.sampled_from(
    [
        OK,
        b"HTTP/1.0 404 Not Found\r\n",
        b"HTTP/1.1 103 H\r\n",
        b"Content-Length: 5\r\n",
        b"content-length:5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b" z\r\n",
        b"\r\n",
        b"\n",
        b"hello",
        b"5\r\n",
        b"0\r\n",
        b"Via: 1.1 a\r\n",
        b"Keep-Alive: 5\r\n",
        b"\r",
    ]
)


@given(
    st.lists(st.one_of(FRAGMENTS, st.binary(max_size=5)), max_size=20).map(b"".join),
    st.lists(st.integers(0)),
    st.sampled_from([b"GET", b"HEAD"]),
)
def test_any_bytes_give_the_same_events_in_any_chunking(data: bytes, cuts: list[int], method: bytes) -> None:
    whole = responses([data], method)
    assert responses(pieces(data, cuts), method) == whole
    assert responses(bytewise(data), method) == whole


@given(st.lists(FRAGMENTS, max_size=10).map(lambda parts: OK + b"X: y\r\n" + b"".join(parts) + b"\r\n"))
def test_the_quick_way_and_the_thorough_way_agree(data: bytes) -> None:
    """A field no client of ours knows (`upgrade`) sends the same head down the thorough way."""
    quick = responses([data])
    thorough = responses([data.replace(b"\r\n", b"\r\nUpgrade: x\r\n", 1)])
    assert quick == thorough


@pytest.mark.parametrize(
    "fields",
    [
        b"a: b" + b" " * 60_000 + b"c\r\n d\r\n",
        b"a: b\r\n" + b" " * 100_000 + b"c\r\n",
        (b"Connection: " + b"a," * 200 + b"\r\n") * 250,
    ],
)
def test_no_head_of_a_hostile_origin_is_dear(fields: bytes) -> None:
    """The attack: a folded line behind a long run of spaces, each of which was tried as the beginning of the fold."""
    begun = time.process_time()
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(OK + fields + b"Content-Length: 0\r\n\r\n")
    assert reader.next() is not None
    assert time.process_time() - begun < 0.1


def test_lines_that_fields_are_folded_into_count_as_fields() -> None:
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(OK + b"a: b\r\n" + b" \r\n" * 40_000)
    with pytest.raises(RequestRejectedError):
        reader.next()
