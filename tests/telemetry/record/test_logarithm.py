"""The bucket of a duration: which one that is, and that both twins find the same."""

import math
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.telemetry.record.logarithm import MAX_SECONDS, MIN_SECONDS, PER_OCTAVE
from tests.twins.reference import both, each

EACH = each("canaryproxy.telemetry.record.logarithm")
plain, compiled = both("canaryproxy.telemetry.record.logarithm")
TIMES = st.floats(MIN_SECONDS, MAX_SECONDS, exclude_min=True)
POWERS = [2.0 ** (index / PER_OCTAVE) for index in range(-640, 530)]
"""Bounds of buckets, as near as floats come."""


@EACH
@given(seconds=TIMES)
def test_a_bucket_holds_the_time_it_was_chosen_for(twin: ModuleType, seconds: float) -> None:
    low, high = (2.0 ** ((twin.bucket_of(seconds) + more) / 32) for more in (0, 1))
    assert low * (1 - 1e-12) < seconds <= high * (1 + 1e-12)


@EACH
@given(power=st.integers(-19, 16))
def test_powers_of_two_are_the_upper_bound_of_their_bucket(twin: ModuleType, power: int) -> None:
    assert 2.0 ** ((twin.bucket_of(2.0**power) + 1) / 32) == 2.0**power


@EACH
@pytest.mark.parametrize("seconds", [0.0, -1.0, MIN_SECONDS / 2])
def test_times_below_a_microsecond_count_as_one(twin: ModuleType, seconds: float) -> None:
    assert twin.bucket_of(seconds) == twin.bucket_of(MIN_SECONDS)


@EACH
def test_times_beyond_a_day_count_as_a_day(twin: ModuleType) -> None:
    assert twin.bucket_of(1e9) == twin.bucket_of(MAX_SECONDS)


def same(seconds: float) -> bool:
    return bool(compiled.bucket_of(seconds) == plain.bucket_of(seconds))


@pytest.mark.compiled
@given(st.one_of(st.floats(allow_nan=False), st.floats(0, 90_000), st.floats(0, 1)))
def test_both_find_the_same_bucket_for_any_duration(seconds: float) -> None:
    assert same(seconds)


@pytest.mark.compiled
def test_both_find_the_same_around_the_bounds_of_every_bucket() -> None:
    for bound in POWERS:
        assert same(bound)
        assert same(math.nextafter(bound, 0.0))
        assert same(math.nextafter(bound, math.inf))


@pytest.mark.compiled
@pytest.mark.parametrize("seconds", [MIN_SECONDS, MAX_SECONDS])
def test_both_find_the_same_where_durations_are_clamped(seconds: float) -> None:
    for near in (seconds, math.nextafter(seconds, 0.0), math.nextafter(seconds, math.inf)):
        assert same(near)


def test_both_count_alike() -> None:
    for name in ("MAX_SECONDS", "MIN_SECONDS", "PER_OCTAVE"):
        assert vars(compiled)[name] == vars(plain)[name]
