"""Lists before their items are read."""

import pytest

from canaryproxy.config.lists import any_number, listeners, one_or_more
from canaryproxy.config.problem import Wrong


def test_a_list_becomes_a_tuple_of_the_same_items() -> None:
    assert any_number(["a", 1]) == one_or_more(["a", 1]) == listeners(["a", 1]) == ("a", 1)


def test_only_where_it_has_one_meaning_a_list_may_be_empty() -> None:
    assert any_number([]) == ()
    for read in (one_or_more, listeners):
        with pytest.raises(Wrong) as wrong:
            read([])
        assert wrong.value.found == "an empty list"


def test_a_single_text_is_told_how_to_become_a_list() -> None:
    with pytest.raises(Wrong, match=r"expected a list: write \[a.example\]"):
        any_number("a.example")


@pytest.mark.parametrize("value", ["", None, 5, {}, True])
def test_anything_else_is_no_list(value: object) -> None:
    with pytest.raises(Wrong, match="expected a list"):
        any_number(value)


@pytest.mark.parametrize("value", [":80", 80, None])
def test_a_single_listener_is_short_for_a_list_of_one(value: object) -> None:
    assert listeners(value) == ({"address": value},)


def test_a_mapping_of_one_listener_is_told_how_to_become_a_list() -> None:
    with pytest.raises(Wrong, match="begin each with"):
        listeners({"address": ":80"})
