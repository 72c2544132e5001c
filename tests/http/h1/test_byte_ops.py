"""Bytes put together and cut: what either twin makes of them, and that both make the same of the same bytes."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.reference import both, each

EACH = each("canaryproxy.http.h1.byte_ops")
plain, compiled = both("canaryproxy.http.h1.byte_ops")


@EACH
@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((), b""),
        ((b"",), b""),
        ((b"a",), b"a"),
        ((b"a", b"", b"bc", b"\0", b"d"), b"abc\0d"),
        ((b"x" * 70_000,) * 2, b"x" * 140_000),
    ],
)
def test_pieces_are_joined_in_their_order(twin: ModuleType, parts: tuple[bytes, ...], whole: bytes) -> None:
    assert twin.concat(parts) == whole


@EACH
@pytest.mark.parametrize("odd", ["text", None, 1])
def test_what_is_not_bytes_is_no_piece(twin: ModuleType, odd: object) -> None:
    with pytest.raises(TypeError):
        twin.concat((b"a", odd, b"b"))


@EACH
@pytest.mark.parametrize("number", [0, 1, 9, 10, 99, 100, 65_536, 10**18 - 1, 10**18, 2**63 - 1])
def test_a_number_is_written_without_a_sign_or_zeros_before_it(twin: ModuleType, number: int) -> None:
    assert twin.itoa(number) == str(number).encode()


@EACH
@pytest.mark.parametrize(
    ("begin", "end", "piece"), [(0, 0, b""), (0, 5, b"hello"), (1, 3, b"el"), (4, 5, b"o"), (5, 5, b""), (2, 2, b"")]
)
def test_a_piece_is_cut_from_where_it_begins_to_before_its_end(
    twin: ModuleType, begin: int, end: int, piece: bytes
) -> None:
    assert twin.slice_(b"hello", begin, end) == piece


@EACH
def test_a_piece_may_hold_any_byte(twin: ModuleType) -> None:
    every = bytes(range(256))
    assert twin.slice_(every * 2, 256, 512) == every
    assert twin.concat((every, every)) == every * 2


ROOM = 2**63 - 1


@EACH
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", (b"", 0, 0)),
        (b"1\r\na\r\n", (b"a", 6, 0)),
        (b"1\r\na\r\n2\r\nbc\r\n", (b"abc", 13, 0)),
        (b"1\r\na\r\n0\r\n\r\n", (b"a", 6, 0)),
        (b"1\r\na\r\n5\r\nbc", (b"a", 6, 0)),
        (b"1\r\na\r\n2\r\nbc\r", (b"a", 6, 0)),
        (b"1\r\na\r\n1\r\nbXX", (b"a", 6, 0)),
        (b"A\r\n0123456789\r\n", (b"0123456789", 15, 0)),
        (b"1\na\r\n", (b"", 0, 0)),
        (b"1;x=y\r\na\r\n1 \t;\xff\r\nb\r\n", (b"ab", 20, 8)),
        (b"1 \r\na\r\n", (b"", 0, 0)),
        (b"1;\x00\r\na\r\n", (b"", 0, 0)),
        (b"0000000000000001\r\na\r\n", (b"a", 21, 0)),
        (b"00000000000000001\r\na\r\n", (b"", 0, 0)),
        (b"ffffffffffffffff\r\na\r\n", (b"", 0, 0)),
        (b"7fffffffffffffff\r\na\r\n", (b"", 0, 0)),
        (b"8000000000000000\r\n\r\n", (b"", 0, 0)),
        (b"g\r\na\r\n", (b"", 0, 0)),
        (b"+1\r\na\r\n", (b"", 0, 0)),
        (b"1;" + b"x" * 4092 + b"\r\na\r\n", (b"a", 4099, 4093)),
        (b"1;" + b"x" * 4093 + b"\r\na\r\n", (b"", 0, 0)),
        (b"0\r\n\r\n", (b"", 0, 0)),
        (b"1", (b"", 0, 0)),
        (b"1\r\n", (b"", 0, 0)),
        (b"1\r\na", (b"", 0, 0)),
    ],
)
def test_whole_chunks_are_taken_until_one_that_is_not(
    twin: ModuleType, data: bytes, found: tuple[bytes, int, int]
) -> None:
    assert twin.dechunk(data, 0, ROOM, ROOM) == found
    content, end, added = found
    assert twin.dechunk(b"12" + data, 2, ROOM, ROOM) == (content, end + 2, added)


@EACH
def test_chunks_beyond_what_there_is_room_for_are_not_taken(twin: ModuleType) -> None:
    data = b"2;x\r\nab\r\n2;y\r\ncd\r\n"
    assert twin.dechunk(data, 0, 4, 4) == (b"abcd", 18, 4)
    assert twin.dechunk(data, 0, 3, 4) == (b"ab", 9, 2)
    assert twin.dechunk(data, 0, 4, 3) == (b"ab", 9, 2)
    assert twin.dechunk(data, 0, 1, 4) == twin.dechunk(data, 0, 4, 0) == (b"", 0, 0)


# The two beside each other.


@pytest.mark.compiled
@given(st.lists(st.binary(max_size=40)).map(tuple))
def test_joined(parts: tuple[bytes, ...]) -> None:
    assert compiled.concat(parts) == plain.concat(parts)


@pytest.mark.compiled
@given(st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 2_000)))
def test_decimals(number: int) -> None:
    assert compiled.itoa(number) == plain.itoa(number)


@pytest.mark.compiled
@given(st.binary(), st.integers(0, 50), st.integers(0, 50))
def test_cuts(data: bytes, one: int, other: int) -> None:
    begin, end = sorted(min(place, len(data)) for place in (one, other))
    assert compiled.slice_(data, begin, end) == plain.slice_(data, begin, end)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("begin", "end"), [(-1, 3), (3, 2), (0, 6), (6, 6), (-2, -1), (6, 5), (0, 2**63 - 1), (-(2**63), 0)]
)
def test_nothing_is_read_from_beyond_the_ends(begin: int, end: int) -> None:
    with pytest.raises(IndexError, match="no such piece"):
        compiled.slice_(b"hello", begin, end)


@pytest.mark.compiled
@pytest.mark.parametrize("number", [-1, -10, -(2**63)])
def test_a_negative_number_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="below 0"):
        compiled.itoa(number)


@pytest.mark.compiled
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64])
def test_a_number_beyond_63_bits_is_refused_and_not_shortened(number: int) -> None:
    with pytest.raises(OverflowError):
        compiled.itoa(number)


@pytest.mark.compiled
def test_a_piece_that_only_looks_like_bytes_is_refused() -> None:
    for odd in (bytearray(b"a"), memoryview(b"a"), type("Named", (bytes,), {})(b"a")):
        with pytest.raises(TypeError, match="not bytes"):
            compiled.concat((b"a", odd))


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


@pytest.mark.compiled
@given(st.lists(CHUNK, max_size=8).map(b"".join), st.integers(0, 5), st.integers(0, 9), st.integers(0, 5))
def test_chunks(data: bytes, begin: int, room: int, spare: int) -> None:
    begin = min(begin, len(data))
    for most in (room, 2**63 - 1):
        assert compiled.dechunk(data, begin, most, spare) == plain.dechunk(data, begin, most, spare)


@pytest.mark.compiled
def test_no_chunk_is_looked_for_before_the_beginning() -> None:
    with pytest.raises(IndexError):
        compiled.dechunk(b"1\r\na\r\n", -1, 9, 9)
