"""CPU per request beside the base: intervals as a table of Student's t has them."""

import pytest

from bench.against import spread, student


@pytest.mark.parametrize(("freedom", "quantile"), [(5, 2.571), (9, 2.262), (19, 2.093), (60, 2.000)])
def test_quantiles_are_those_of_the_table(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


def test_the_interval_is_around_the_mean_and_narrows_with_pairs() -> None:
    few, many = spread([0.9, 1.1] * 3), spread([0.9, 1.1] * 30)
    assert few.mean == many.mean == pytest.approx(1.0)
    assert few.low < many.low < 1 < many.high < few.high
