"""Quantities: what is read, what is refused and how it is corrected."""

from collections.abc import Callable
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.quantity import (
    PERCENT_EXPECTED,
    count,
    duration,
    duration_text,
    percent,
    percent_text,
    size,
    size_text,
)
from canaryproxy.config.types.readers import is_off, optional, switch

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.integers(), max_size=2)
)
READERS: tuple[Callable[[object], object], ...] = (
    duration(0.001, 3600),
    duration(0, 60),
    size(1, 1024),
    optional(size(1, 1024)),
    percent,
    count(1, 10),
    switch,
)


def refused(read: Callable[[Any], object], written: object) -> InvalidValueError | None:
    try:
        read(written)
    except InvalidValueError as wrong:
        return wrong
    return None


@given(st.integers(0, 10_000))
def test_every_basis_point_survives_writing_and_reading(points: int) -> None:
    text = percent_text(points)
    assert percent(f"{text}%") == points
    assert percent(float(text)) == points
    assert percent(points / 100) == points


def test_every_basis_point_is_a_sum_of_hundredths() -> None:
    assert [percent(float(Decimal(points) / 100)) for points in range(10_001)] == list(range(10_001))


@pytest.mark.parametrize(
    ("written", "points"),
    [
        (0, 0),
        (100, 10_000),
        (5, 500),
        (0.25, 25),
        (0.29, 29),
        ("0.25%", 25),
        ("100%", 10_000),
        ("5.00%", 500),
        (1e1, 1000),
    ],
)
def test_a_percentage_is_a_number_or_text_with_its_sign(written: object, points: int) -> None:
    assert percent(written) == points


@pytest.mark.parametrize(
    "written",
    [
        101,
        -1,
        -0.01,
        100.01,
        0.001,
        nan,
        inf,
        -inf,
        True,
        False,
        None,
        [],
        {},
        "",
        "abc",
        "%",
        "-1%",
        "101%",
        "0.001%",
        "1e1%",
        "101",
        "5%%",
        "\u0665%",
        10**400,
        "9" * 5000 + "%",
    ],
)
def test_what_is_no_percentage_is_reported_what_one_is(written: object) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        percent(written)
    assert wrong.value.hint == PERCENT_EXPECTED


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("5", "a percentage in quotes needs its sign: write 5 without the quotes, or 5%"),
        (" 0.25 ", "a percentage in quotes needs its sign: write 0.25 without the quotes, or 0.25%"),
        ("5 %", "write 5%"),
        (" 5%", "write 5%"),
    ],
)
def test_a_percentage_nearly_right_is_corrected(written: str, hint: str) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        percent(written)
    assert wrong.value.hint == hint


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("1s", 1.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("0.5ms", 0.0005),
        (0, 0.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_text_with_its_unit(written: object, seconds: float) -> None:
    assert duration(0, 3600)(written) == seconds


@given(st.integers(0, 86_400_000))
def test_every_millisecond_survives_writing_and_reading(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert duration(0, 86_400)(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        (10, "a duration needs its unit: write 10s or 10ms"),
        (1.5, "a duration needs its unit: write 1.5s or 1.5ms"),
        ("10", "a duration needs its unit: write 10s or 10ms"),
        ("1m30s", "write it with one unit: 90s"),
        ("1h30m", "write it with one unit: 90m"),
        ("5 S", "write 5s"),
        (-1, "a duration cannot be negative; expected a duration from 1ms to 1h, such as 500ms, 10s or 5m"),
        ("-5s", "a duration cannot be negative; expected a duration from 1ms to 1h, such as 500ms, 10s or 5m"),
    ],
)
def test_a_duration_nearly_right_is_corrected(written: object, hint: str) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        duration(0.001, 3600)(written)
    assert wrong.value.hint == hint


@pytest.mark.parametrize("written", ["2h", "0s", "0.5ms", 0, nan, inf, True, None, "", "s", "1d", "1e3s", [], "9" * 99])
def test_a_duration_out_of_range_or_unreadable_is_reported_the_range(written: object) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        duration(0.001, 3600)(written)
    assert wrong.value.hint == "expected a duration from 1ms to 1h, such as 500ms, 10s or 5m"


@pytest.mark.parametrize(
    ("written", "amount"),
    [(8192, 8192), ("8192", 8192), ("8B", 8), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648)],
)
def test_a_size_is_bytes_or_text_with_a_binary_unit(written: object, amount: int) -> None:
    assert size(1, 2**40)(written) == amount


@given(st.integers(1, 2**40))
def test_every_size_survives_writing_and_reading(amount: int) -> None:
    assert size(1, 2**40)(size_text(amount)) == amount


@pytest.mark.parametrize(
    ("written", "hint"), [("64k", "64KiB"), ("64KB", "64KiB"), ("1 mb", "1MiB"), ("1 MiB", "1MiB")]
)
def test_a_size_with_a_loose_unit_is_corrected(written: str, hint: str) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        size(1, 2**40)(written)
    assert wrong.value.hint == f"write {hint} (1KiB is 1024 bytes)"


@pytest.mark.parametrize("written", [0, -1, 2048, "2KiB", "1.5KiB", 1.5, True, None, "", "KiB", "9" * 99, []])
def test_a_size_out_of_range_or_unreadable_is_reported_the_range(written: object) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        size(1, 1024)(written)
    assert wrong.value.hint == "expected a size from 1 to 1KiB, such as 64KiB, 1MiB or 8192 (bytes)"


@pytest.mark.parametrize("written", [None, False, "none", "off", "None", "OFF"])
def test_off_and_none_mean_no_limit_however_yaml_yields_them(written: object) -> None:
    assert optional(size(1, 1024))(written) is None
    assert is_off(written)


def test_a_limit_that_may_be_none_is_still_a_size() -> None:
    read = optional(size(1, 1024))
    assert read("1KiB") == 1024
    with pytest.raises(InvalidValueError, match="or `none`"):
        read(0)


def test_a_count_is_a_whole_number_in_range() -> None:
    read = count(1, 100)
    assert (read(1), read(100)) == (1, 100)
    with pytest.raises(InvalidValueError, match="write 100 without the quotes"):
        read("100")


@pytest.mark.parametrize("written", [0, 101, 1.0, True, None, "101", "abc", [], nan])
def test_what_is_no_count_is_reported_the_range(written: object) -> None:
    with pytest.raises(InvalidValueError) as wrong:
        count(1, 100)(written)
    assert wrong.value.hint == "expected a whole number from 1 to 100"


@pytest.mark.parametrize(
    ("written", "value"), [(True, True), (False, False), ("off", False), ("none", False), (None, False)]
)
def test_a_switch_is_true_or_off(written: object, value: bool) -> None:
    assert switch(written) is value


@pytest.mark.parametrize("written", ["true", "maybe", 1, 0, [], 1.0])
def test_what_is_no_switch_is_reported(written: object) -> None:
    with pytest.raises(InvalidValueError, match="expected true or false"):
        switch(written)


@given(ANYTHING)
def test_no_reader_fails_otherwise_than_by_saying_what_is_wrong(written: object) -> None:
    for read in READERS:
        wrong = refused(read, written)
        assert wrong is None or wrong.hint
