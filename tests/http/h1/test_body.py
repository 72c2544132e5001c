"""Body decoders: what the readers' tests do not reach."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.h1.body import BODY_END, BodyEnd, ChunkedBody, LengthBody, ReceiveBuffer, UntilClose
from canaryproxy.model.failure import Failure
from tests.http.h1.streams import pieces


def test_an_inbox_keeps_what_was_not_consumed_in_front_of_what_comes() -> None:
    inbox = ReceiveBuffer()
    inbox.feed(b"abc")
    inbox.position = 1
    inbox.feed(b"de")
    assert len(inbox) == 4
    assert inbox.take_all() == b"bcde"
    assert len(inbox) == 0


def test_an_inbox_holds_nothing_that_is_done_with() -> None:
    inbox = ReceiveBuffer()
    inbox.feed(b"abc")
    inbox.consume(2)
    assert (inbox.data, inbox.position) == (b"abc", 2)
    inbox.consume(3)
    assert (inbox.data, inbox.position) == (b"", 0)


def test_a_length_body_leaves_what_belongs_to_the_next_message() -> None:
    body, inbox = LengthBody(), ReceiveBuffer()
    body.remaining = 3
    inbox.feed(b"abcNEXT")
    assert body.next(inbox) == b"abc"
    assert body.next(inbox) is BODY_END
    assert inbox.take_all() == b"NEXT"


def test_a_body_until_close_yields_what_is_there() -> None:
    inbox = ReceiveBuffer()
    assert UntilClose().next(inbox) is None
    inbox.feed(b"x")
    assert UntilClose().next(inbox) == b"x"


def test_many_small_chunks_come_out_as_one_piece() -> None:
    body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), ReceiveBuffer()
    inbox.feed(b"1\r\na\r\n" * 3 + b"0\r\n\r\n")
    assert body.next(inbox) == b"aaa"
    assert body.next(inbox) == BODY_END


def test_ends_are_compared_by_their_trailers() -> None:
    assert BodyEnd((b"X: y",)) == BodyEnd((b"X: y",))
    assert BodyEnd((b"X: y",)) != BODY_END
    assert len({BodyEnd(), BODY_END}) == 1


def naive(data: bytes) -> tuple[bytes, bytes] | None:
    """Payload and what is behind the end of a sound chunked body without trailers, chunk by chunk; None while it goes
    on.
    """
    payload = b""
    while True:
        line, mark, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16) if mark else 1
        if len(data) < size + 2:
            return None
        if not size:
            return payload, data[2:]
        payload, data = payload + data[:size], data[size + 2 :]


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.sampled_from([b"", b";x", b";a=b"])), max_size=12),
    st.lists(st.integers(0, 500)),
)
def test_chunks_cut_anywhere_have_the_payload_that_they_have_one_by_one(
    chunks: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    """H5: what may be joined is joined, nothing is lost, nothing changes places."""
    data = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), added, chunk) for chunk, added in chunks) + b"0\r\n\r\nNEXT"
    body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), ReceiveBuffer()
    payload, ended = b"", False
    for part in pieces(data, cuts):
        inbox.feed(part)
        while not ended and (event := body.next(inbox)) is not None:
            ended = event == BODY_END
            payload += event if isinstance(event, bytes) else b""
    assert ended
    assert (payload, inbox.take_all()) == naive(data)


@pytest.mark.parametrize("count", [1, 1_000, 40_000])
def test_however_many_chunks_came_together_they_are_one_event(count: int) -> None:
    body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), ReceiveBuffer()
    inbox.feed(b"1\r\na\r\n" * count + b"1\r\n")
    assert body.next(inbox) == b"a" * count
    assert body.next(inbox) is None


@pytest.mark.compiled
@pytest.mark.parametrize("chunk", [b"1\r\na\r\n", b"0000000000000001\r\na\r\n", b"1;\r\na\r\n"])
def test_chunks_of_one_byte_cost_hardly_more_than_their_bytes(chunk: bytes) -> None:
    """The attack: 256 KiB of them held everybody up for 36 ms. Here some passes over the bytes are the measure."""
    data = chunk * (262_144 // len(chunk) if b";" not in chunk else 16_000)
    body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), ReceiveBuffer()
    inbox.feed(data)
    begun = time.process_time()
    body.next(inbox)
    taken = time.process_time() - begun
    begun = time.process_time()
    data.split(b"\r\n")
    assert taken < 2 * (time.process_time() - begun)


def test_trailers_that_come_byte_by_byte_are_still_taken_whole() -> None:
    for data in (b"0\r\na: b\r\nc: d\r\n\r\nNEXT", b"0\r\n\r\nNEXT"):
        body, inbox = ChunkedBody(Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, 100, 5), ReceiveBuffer()
        end = None
        for place in range(len(data)):
            inbox.feed(data[place : place + 1])
            end = body.next(inbox) if end is None else end
        assert end == (BodyEnd((b"a: b", b"c: d")) if b"a" in data else BODY_END)
        assert inbox.take_all() == b"NEXT"
