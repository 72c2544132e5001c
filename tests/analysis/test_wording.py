"""Numbers as an engineer would say them."""

import math

import pytest

from canaryproxy.analysis import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00123, "0.00123"),
        (1.5, "1.5"),
        (22.04, "22"),
        (137.2, "137"),
        (12_160, "12,160"),
        (math.inf, "no limit"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0004, "0.4 ms"), (0.025, "25 ms"), (4.2, "4.2 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_have_a_unit_that_fits(value: float, text: str) -> None:
    assert wording.seconds(value) == text


def test_ratios_come_with_where_they_lie() -> None:
    assert wording.times(22, (9, 51), "the rate") == "22 times the rate (95 % interval 9 to 51)"
    assert wording.times(22, (9, None), "the rate") == "22 times the rate (95 % interval 9 and more)"
    assert wording.times(22, None, "the rate") == "22 times the rate"


def test_evidence_stands_beside_what_it_takes() -> None:
    assert wording.evidence(137.2, 100) == "evidence 137 ≥ 100"
    assert wording.evidence(3.14, 100) == "evidence 3.1 of 100"
    assert wording.evidence(1e9, 100) == "evidence over a million ≥ 100"


def test_guesses_have_two_digits_and_one_of_a_kind_no_plural() -> None:
    assert [wording.approximate(count) for count in (3.2, 99, 1234, 150_001)] == ["4", "99", "1,300", "160,000"]
    assert (wording.counted(1, "user"), wording.counted(2000, "user")) == ("1 user", "2,000 users")
    assert wording.percent(0.0025) == "0.25 %"


def test_what_is_wanted_is_reported_in_units_and_in_time() -> None:
    assert wording.missing_text(912, "request", 15.2) == "about 920 more canary requests, about 60 s"
    assert wording.missing_text(5000, "user", 2.0) == "about 5,000 more canary users, about 41.7 min"
    assert wording.missing_text(5000, "user", 0.0) == "about 5,000 more canary users"
