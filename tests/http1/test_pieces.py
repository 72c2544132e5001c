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
