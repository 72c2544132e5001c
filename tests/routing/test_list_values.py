"""Items of list-valued fields."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.list_values import ListField, items, split


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"a, b", {b"a", b"b"}),
        (b"a,b\t,", {b"a", b"b"}),
        (b"", set()),
        (b" , ,", set()),
        (b"ab", {b"ab"}),
        (b'"a, b", c', {b'"a, b"', b"a, b", b"c"}),
        (b'"b"', {b'"b"', b"b"}),
        (b'"x\\"y"', {b'"x\\"y"', b'x"y'}),
        (b'a;q="1,2", b', {b'a;q="1,2"', b"b"}),
        (b'"never closed, b', {b'"never closed', b"b"}),
        (b'a", b', {b'a"', b"b"}),
        (b'"a"b, c', {b'"a"b', b"c"}),
    ],
)
def test_items_stand_between_commas_outside_of_quotes(value: bytes, found: set[bytes]) -> None:
    assert items(value) == found


@given(st.binary(max_size=50), st.text('a",\\ ', max_size=50))
def test_nothing_of_a_value_is_lost(some: bytes, other: str) -> None:
    for value in (some, other.encode()):
        parts, _ = split(value)
        assert b",".join(parts) == value


@pytest.mark.parametrize("value", [b'"' * 60_000, b'"\\' * 30_000, b'"",' * 20_000, b'"a' * 30_000, b'",' * 30_001])
def test_long_values_take_no_longer_than_they_are(value: bytes) -> None:
    """Whatever takes the square of the length would not come to an end here."""
    for _ in range(20):
        items(value)


@given(st.lists(st.text('ab", \\', max_size=6).map(str.encode), max_size=5))
def test_the_items_of_several_lists_are_those_of_each(values: list[bytes]) -> None:
    assert ListField("header", b"x").matched(values) == set().union(*map(items, values))


@pytest.mark.parametrize("value", [b'"' + b'\\"' * 50_000, b'"",' * 30_000, b'"' + b"\\a" * 50_000, b'",' * 50_000])
def test_no_list_takes_longer_than_it_is_long(value: bytes) -> None:
    """A quote that is never closed, with thousands of escaped ones behind it, is looked for once."""
    begun = time.process_time()
    split(value)
    assert time.process_time() - begun < 1
