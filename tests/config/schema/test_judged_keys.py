"""Leaves of what is judged."""

import pytest

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.judged_keys import action, ratio, times


def test_what_follows_is_one_of_two_words() -> None:
    assert (action("rollback"), action("hold")) == ("rollback", "hold")
    for other in ("explode", None, ["hold"]):
        with pytest.raises(InvalidValueError, match="expected rollback or hold"):
            action(other)


def test_a_multiple_of_stables_value_is_one_at_least_or_none() -> None:
    assert (times(1.5), times(2), times("none")) == (1.5, 2.0, None)
    for other in (0.5, True, "much", 1001):
        with pytest.raises(InvalidValueError, match="expected a number from 1 to 1000"):
            times(other)


def test_a_tolerance_is_a_ratio() -> None:
    assert ratio(1000) == pytest.approx(1.1)
