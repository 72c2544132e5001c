"""Plain scalars: numbers and switches are understood, YAML 1.1's surprises are not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.yaml.scalars import typed_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("False", False),
        ("no", False),
        ("OFF", False),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("12345", 12_345),
        ("0.25", 0.25),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
    ],
)
def test_a_plain_scalar_has_the_type_it_reads_like(text: str, value: object) -> None:
    result = typed_scalar(text)
    assert result == value
    assert type(result) is type(value)


def test_not_a_number_is_a_number_too() -> None:
    assert math.isnan(float(str(typed_scalar(".nan"))))


@pytest.mark.parametrize(
    "text", ["010", "0x10", "0o7", "1_000", "1:30", "2024-01-01", "nULL", "y", "none", "5%", "1e", "٣"]
)
def test_surprises_of_older_yaml_stay_text(text: str) -> None:
    assert typed_scalar(text) == text


@pytest.mark.parametrize("text", ["9" * 19, "9" * 5000, "1." + "0" * 31])
def test_numbers_beyond_use_stay_text(text: str) -> None:
    assert typed_scalar(text) == text


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_whole_number_is_read_as_written(number: int) -> None:
    assert typed_scalar(str(number)) == number
