"""Readers that serve every kind of value."""

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.readers import listeners, non_empty_sequence, sequence


def test_a_list_becomes_a_tuple_of_the_same_items() -> None:
    assert sequence(["a", 1]) == non_empty_sequence(["a", 1]) == listeners(["a", 1]) == ("a", 1)


def test_only_where_it_has_one_meaning_a_list_may_be_empty() -> None:
    assert sequence([]) == ()
    for read in (non_empty_sequence, listeners):
        with pytest.raises(InvalidValueError) as wrong:
            read([])
        assert wrong.value.found == "an empty list"


def test_a_single_text_is_shown_how_to_become_a_list() -> None:
    with pytest.raises(InvalidValueError, match=r"expected a list: write \[a.example\]"):
        sequence("a.example")


@pytest.mark.parametrize("value", ["", None, 5, {}, True])
def test_anything_else_is_no_list(value: object) -> None:
    with pytest.raises(InvalidValueError, match="expected a list"):
        sequence(value)


@pytest.mark.parametrize("value", [":80", 80, None])
def test_a_single_listener_is_short_for_a_list_of_one(value: object) -> None:
    assert listeners(value) == ({"address": value},)


def test_a_mapping_of_one_listener_is_shown_how_to_become_a_list() -> None:
    with pytest.raises(InvalidValueError, match="begin each with"):
        listeners({"address": ":80"})
