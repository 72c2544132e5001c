"""Documents that several versions read and write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model import document
from canaryproxy.model.document import TooNewError, added, merged, unknown, version_of

NAMES = st.text("abcd", min_size=1, max_size=2)
JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12,
)  # fmt: skip
DOCUMENTS = st.dictionaries(NAMES, JSON, max_size=4)


def test_a_document_without_a_version_is_of_the_first() -> None:
    assert version_of({}, 3, "it") == 0
    assert version_of({"v": 3}, 3, "it") == 3


def test_a_version_beyond_the_known_ones_is_too_new() -> None:
    with pytest.raises(TooNewError, match="a route is stored as version 4"):
        version_of({"v": 4}, 3, "a route")


@pytest.mark.parametrize("wrong", ["1", 1.0, True, None, -1])
def test_a_version_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(ValueError, match="no version"):
        version_of({"v": wrong}, 3, "it")


def test_the_version_itself_is_never_an_unknown_field() -> None:
    assert unknown({"v": 1, "a": 1, "b": 2}, {"a"}) == {"b": 2}


@given(DOCUMENTS, DOCUMENTS)
def test_what_is_known_wins_and_what_is_not_comes_back(loaded: dict[str, Any], dumped: dict[str, Any]) -> None:
    whole = merged(dumped, added(loaded, dumped))
    assert added(dumped, whole) == {}
    assert added(loaded, whole) == {}
    assert merged(whole, added(loaded, dumped)) == whole


@given(DOCUMENTS)
def test_nothing_is_added_to_itself(one: dict[str, Any]) -> None:
    assert added(one, one) == {}
    assert merged(one, {}) == one


def test_objects_are_looked_into_and_lists_are_values() -> None:
    loaded = {"checks": {"errors": {"x": 1, "new": 2}, "saturation": {"y": 3}}, "pairs": [[1, 2], [3, 4]]}
    dumped = {"checks": {"errors": {"x": 5}}, "pairs": [[1, 9]]}
    assert merged(dumped, added(loaded, dumped)) == {
        "checks": {"errors": {"x": 5, "new": 2}, "saturation": {"y": 3}}, "pairs": [[1, 9]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("read", "right", "wrong"),
    [
        (document.text, ["", "a"], [None, 1, b"a"]),
        (document.truth, [True, False], [0, 1, "true", None]),
        (document.whole, [0, 7], [-1, True, 1.0, "1", None]),
        (document.number, [0, -1.5, 2], [True, float("inf"), float("nan"), "1", None]),
        (document.items, [[], [1]], [(), {}, "a", None]),
        (document.mapping, [{}, {"a": 1}], [[], "a", None]),
    ],
)
def test_a_value_is_what_it_should_be_or_refused(read: Any, right: list[object], wrong: list[object]) -> None:
    assert [read(one) for one in right] == right
    for one in wrong:
        with pytest.raises((ValueError, TypeError), match="is n"):
            read(one)


@given(st.floats(allow_nan=False))
def test_a_number_that_json_has_no_word_for_survives_too(value: float) -> None:
    assert document.real(json.loads(json.dumps(document.plain(value), allow_nan=False))) == value


@given(st.dictionaries(st.integers(-400, 400), st.integers(0, 1 << 40)))
def test_counts_by_number_survive(counts: dict[int, int]) -> None:
    assert document.counts(json.loads(json.dumps(document.pairs(counts)))) == counts


@pytest.mark.parametrize("wrong", [{}, [[1]], [["1", 2]], [[1, -1]], [[1, 2.5]], 3])
def test_other_counts_are_refused(wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        document.counts(wrong)


def test_numbers_are_as_many_as_they_should_be() -> None:
    assert document.reals([1, "inf"], 2) == [1, float("inf")]
    assert document.wholes([1, 2], 2) == [1, 2]
    for read in (document.reals, document.wholes):
        with pytest.raises(ValueError, match="instead of 3"):
            read([1, 2], 3)
