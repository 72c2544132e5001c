"""Plans: rising weights that end at the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.rollout.plan import FULL_WEIGHT, Auto, Curve, Range, auto_weights, resolved


def test_a_range_has_even_steps_and_ends_at_the_whole() -> None:
    assert Range(1000, 5000, 2000).weights == (1000, 3000, 5000, 10_000)
    assert Range(500, 10_000, 5000).weights == (500, 5500, 10_000)


def test_a_curve_grows_by_the_same_factor() -> None:
    assert Curve(3).weights == (100, 1000, 10_000)
    assert Curve(1).weights == (100, 10_000)
    assert Curve(8).weights == (100, 193, 373, 720, 1389, 2683, 5179, 10_000)


@pytest.mark.parametrize(("rate", "first"), [(0, 2000), (10, 2000), (100, 1084), (1000, 109), (100_000, 2), (1e9, 1)])
def test_auto_begins_where_a_proof_fits_into_two_dwells(rate: float, first: int) -> None:
    weights = auto_weights(60.0, rate)
    assert weights[0] == first
    assert weights[-2:] == (5000, FULL_WEIGHT)


@given(st.floats(0, 1e7), st.floats(1, 3600))
def test_auto_always_rises_to_the_whole(rate: float, dwell: float) -> None:
    steps = resolved(Auto(), dwell, rate)
    weights = [step.weight for step in steps]
    assert weights == sorted(set(weights))
    assert weights[-1] == FULL_WEIGHT
    assert {step.dwell for step in steps} == {dwell}


def test_other_shapes_do_not_ask_for_the_traffic() -> None:
    assert [step.weight for step in resolved(Curve(3), 5.0, 0.0)] == [100, 1000, 10_000]
