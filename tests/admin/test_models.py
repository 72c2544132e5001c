"""Weights as requests bring them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canaryproxy.admin.models import WeightBody


@given(st.integers(0, 10_000))
def test_every_basis_point_is_understood(points: int) -> None:
    assert WeightBody(canary=points / 100).basis_points == points
    assert WeightBody.model_validate({"canary": points * 0.01}).basis_points == points


@given(st.integers(0, 99_999).filter(lambda number: number % 10))
def test_three_decimals_are_refused(number: int) -> None:
    with pytest.raises(ValidationError):
        WeightBody.model_validate({"canary": number / 1000})
