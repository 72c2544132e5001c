"""Readers that several sections share."""

import pytest

from canaryproxy.analysis.spec import Action
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.leaves import none_if_off
from canaryproxy.config.types.quantity import multiple, ratio
from canaryproxy.config.types.readers import choice, optional


def test_a_choice_is_one_of_the_words_of_its_type() -> None:
    assert [choice(Action)(word) for word in ("rollback", "hold")] == ["rollback", "hold"]
    for other in ("explode", None, ["hold"]):
        with pytest.raises(InvalidValueError, match="expected rollback or hold"):
            choice(Action)(other)


def test_a_multiple_of_stables_value_is_one_at_least_or_none() -> None:
    read = optional(multiple)
    assert (read(1.5), read(2), read("none")) == (1.5, 2.0, None)
    for other in (0.5, True, "much", 1001):
        with pytest.raises(InvalidValueError, match=r"expected a number from 1 to 1000, such as 1\.5, or `none`"):
            read(other)


def test_a_tolerance_is_a_ratio() -> None:
    assert ratio(1000) == pytest.approx(1.1)


def test_a_section_that_is_off_is_none() -> None:
    assert (none_if_off("off"), none_if_off(False), none_if_off({})) == (None, None, {})
