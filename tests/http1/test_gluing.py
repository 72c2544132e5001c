"""What is put together in C is what bytes' own methods make of it. What that should be: test_pieces.py, for both."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import MODE
from canaryproxy.http1 import pieces

gluing = importlib.import_module("canaryproxy.http1.gluing") if MODE.compiled else pieces

pytestmark = pytest.mark.compiled


@given(st.lists(st.binary(max_size=40)).map(tuple))
def test_joined(parts: tuple[bytes, ...]) -> None:
    assert gluing.joined(parts) == pieces.joined(parts)


@given(st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 2_000)))
def test_decimals(number: int) -> None:
    assert gluing.decimal(number) == pieces.decimal(number)


@given(st.binary(), st.integers(0, 50), st.integers(0, 50))
def test_cuts(data: bytes, one: int, other: int) -> None:
    begin, end = sorted(min(place, len(data)) for place in (one, other))
    assert gluing.cut(data, begin, end) == pieces.cut(data, begin, end)


@pytest.mark.parametrize(
    ("begin", "end"), [(-1, 3), (3, 2), (0, 6), (6, 6), (-2, -1), (6, 5), (0, 2**63 - 1), (-(2**63), 0)]
)
def test_nothing_is_read_from_beyond_the_ends(begin: int, end: int) -> None:
    with pytest.raises(IndexError, match="no such piece"):
        gluing.cut(b"hello", begin, end)


@pytest.mark.parametrize("number", [-1, -10, -(2**63)])
def test_a_negative_number_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="below 0"):
        gluing.decimal(number)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64])
def test_a_number_beyond_63_bits_is_refused_and_not_shortened(number: int) -> None:
    with pytest.raises(OverflowError):
        gluing.decimal(number)


def test_a_piece_that_only_looks_like_bytes_is_refused() -> None:
    for odd in (bytearray(b"a"), memoryview(b"a"), type("Named", (bytes,), {})(b"a")):
        with pytest.raises(TypeError, match="not bytes"):
            gluing.joined((b"a", odd))


CHUNK = st.one_of(
    st.tuples(
        st.sampled_from([b"1", b"2", b"03", b"a", b"0", b"0000000000000001", b"ffffffffffffffff", b"", b"x"]),
        st.sampled_from([b"", b"", b"", b";", b" ;x", b"\t;\xff", b" ", b";\x00"]),
        st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]),
        st.sampled_from([b"a", b"ab", b"abc", b"\r\n", b""]),
        st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r", b"XX"]),
    ).map(b"".join),
    st.sampled_from([b"1\r\na\r\n", b"2;x\r\nab\r\n"]),
    st.binary(max_size=4),
)


@given(st.lists(CHUNK, max_size=8).map(b"".join), st.integers(0, 5), st.integers(0, 9), st.integers(0, 5))
def test_chunks(data: bytes, begin: int, room: int, spare: int) -> None:
    begin = min(begin, len(data))
    for most in (room, 2**63 - 1):
        assert gluing.unchunked(data, begin, most, spare) == pieces.unchunked(data, begin, most, spare)


def test_no_chunk_is_looked_for_before_the_beginning() -> None:
    with pytest.raises(IndexError):
        gluing.unchunked(b"1\r\na\r\n", -1, 9, 9)
