"""Bytes put together and cut: the same of bytes' own methods and of their compiled twin where there is one."""

import importlib
from types import ModuleType

import pytest

from canaryproxy import MODE
from canaryproxy.http1 import pieces

gluing = importlib.import_module("canaryproxy.http1.gluing") if MODE.compiled else pieces

EACH = pytest.mark.parametrize(
    "maker", [pytest.param(pieces, id="pieces"), pytest.param(gluing, id="gluing", marks=pytest.mark.compiled)]
)


@EACH
@pytest.mark.parametrize(
    ("parts", "whole"),
    [((), b""), ((b"",), b""), ((b"a",), b"a"), ((b"a", b"", b"bc", b"\0", b"d"), b"abc\0d"), ((b"x" * 70_000,) * 2, b"x" * 140_000)],
)  # fmt: skip
def test_pieces_are_joined_in_their_order(maker: ModuleType, parts: tuple[bytes, ...], whole: bytes) -> None:
    assert maker.joined(parts) == whole


@EACH
@pytest.mark.parametrize("odd", ["text", None, 1])
def test_what_is_not_bytes_is_no_piece(maker: ModuleType, odd: object) -> None:
    with pytest.raises(TypeError):
        maker.joined((b"a", odd, b"b"))


@EACH
@pytest.mark.parametrize("number", [0, 1, 9, 10, 99, 100, 65_536, 10**18 - 1, 10**18, 2**63 - 1])
def test_a_number_is_written_without_a_sign_or_zeros_before_it(maker: ModuleType, number: int) -> None:
    assert maker.decimal(number) == str(number).encode()


@EACH
@pytest.mark.parametrize(
    ("begin", "end", "piece"), [(0, 0, b""), (0, 5, b"hello"), (1, 3, b"el"), (4, 5, b"o"), (5, 5, b""), (2, 2, b"")]
)
def test_a_piece_is_cut_from_where_it_begins_to_before_its_end(
    maker: ModuleType, begin: int, end: int, piece: bytes
) -> None:
    assert maker.cut(b"hello", begin, end) == piece


@EACH
def test_a_piece_may_hold_any_byte(maker: ModuleType) -> None:
    every = bytes(range(256))
    assert maker.cut(every * 2, 256, 512) == every
    assert maker.joined((every, every)) == every * 2


ROOM = 2**63 - 1


@EACH
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", (b"", 0, 0)), (b"1\r\na\r\n", (b"a", 6, 0)), (b"1\r\na\r\n2\r\nbc\r\n", (b"abc", 13, 0)),
        (b"1\r\na\r\n0\r\n\r\n", (b"a", 6, 0)), (b"1\r\na\r\n5\r\nbc", (b"a", 6, 0)), (b"1\r\na\r\n2\r\nbc\r", (b"a", 6, 0)),
        (b"1\r\na\r\n1\r\nbXX", (b"a", 6, 0)), (b"A\r\n0123456789\r\n", (b"0123456789", 15, 0)), (b"1\na\r\n", (b"", 0, 0)),
        (b"1;x=y\r\na\r\n1 \t;\xff\r\nb\r\n", (b"ab", 20, 8)), (b"1 \r\na\r\n", (b"", 0, 0)), (b"1;\x00\r\na\r\n", (b"", 0, 0)),
        (b"0000000000000001\r\na\r\n", (b"a", 21, 0)), (b"00000000000000001\r\na\r\n", (b"", 0, 0)),
        (b"ffffffffffffffff\r\na\r\n", (b"", 0, 0)), (b"7fffffffffffffff\r\na\r\n", (b"", 0, 0)),
        (b"8000000000000000\r\n\r\n", (b"", 0, 0)), (b"g\r\na\r\n", (b"", 0, 0)), (b"+1\r\na\r\n", (b"", 0, 0)),
        (b"1;" + b"x" * 4092 + b"\r\na\r\n", (b"a", 4099, 4093)), (b"1;" + b"x" * 4093 + b"\r\na\r\n", (b"", 0, 0)),
        (b"0\r\n\r\n", (b"", 0, 0)), (b"1", (b"", 0, 0)), (b"1\r\n", (b"", 0, 0)), (b"1\r\na", (b"", 0, 0)),
    ],
)  # fmt: skip
def test_whole_chunks_are_taken_until_one_that_is_not(
    maker: ModuleType, data: bytes, found: tuple[bytes, int, int]
) -> None:
    assert maker.unchunked(data, 0, ROOM, ROOM) == found
    content, end, added = found
    assert maker.unchunked(b"12" + data, 2, ROOM, ROOM) == (content, end + 2, added)


@EACH
def test_chunks_beyond_what_there_is_room_for_are_not_taken(maker: ModuleType) -> None:
    data = b"2;x\r\nab\r\n2;y\r\ncd\r\n"
    assert maker.unchunked(data, 0, 4, 4) == (b"abcd", 18, 4)
    assert maker.unchunked(data, 0, 3, 4) == (b"ab", 9, 2)
    assert maker.unchunked(data, 0, 4, 3) == (b"ab", 9, 2)
    assert maker.unchunked(data, 0, 1, 4) == maker.unchunked(data, 0, 4, 0) == (b"", 0, 0)
