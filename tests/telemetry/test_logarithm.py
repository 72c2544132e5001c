"""The bucket of a duration in C is the one that Python finds. Which one that should be: test_histogram.py."""

import importlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy import MODE
from canaryproxy.telemetry import histogram

logarithm = importlib.import_module("canaryproxy.telemetry.logarithm") if MODE.compiled else None

pytestmark = pytest.mark.compiled

POWERS = [2.0 ** (index / histogram.PER_OCTAVE) for index in range(-640, 530)]
"""Bounds of buckets, as near as floats come."""


def same(seconds: float) -> bool:
    assert logarithm is not None
    found: bool = logarithm.bucket_of(seconds) == histogram.plain_bucket_of(seconds)
    return found


@given(st.one_of(st.floats(allow_nan=False), st.floats(0, 90_000), st.floats(0, 1)))
def test_any_duration(seconds: float) -> None:
    assert same(seconds)


def test_durations_around_the_bounds_of_every_bucket() -> None:
    for bound in POWERS:
        assert same(bound)
        assert same(math.nextafter(bound, 0.0))
        assert same(math.nextafter(bound, math.inf))


@pytest.mark.parametrize("seconds", [histogram.SHORTEST, histogram.LONGEST])
def test_where_durations_are_clamped(seconds: float) -> None:
    for near in (seconds, math.nextafter(seconds, 0.0), math.nextafter(seconds, math.inf)):
        assert same(near)


def test_it_is_the_one_that_everybody_uses() -> None:
    assert logarithm is not None
    assert histogram.__dict__["bucket_of"] is logarithm.bucket_of
