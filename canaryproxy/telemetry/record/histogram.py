"""Latency in exponential buckets: ratio 2^(1/32), OpenTelemetry scale 5, mergeable by addition.

Bucket `i` holds values v with 2^(i/32) < v <= 2^((i+1)/32) seconds. A quantile is within half a bucket's width, 1.1 %,
of a counted value.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from canaryproxy.telemetry.record.logarithm import PER_OCTAVE

MIN_VALUE = 1e-6
# The bucket of values below a millionth, which count as zero.
ZERO_BUCKET = -(2**15)

# Relative tolerance of a rank: 0.07 * 100 is slightly above 7 in floating point and must still be rank 7.
ROUNDING = 1e-12


def value_bucket(value: float) -> int:
    """The bucket of an event's value, on the same scale; `ZERO_BUCKET` for zero."""
    return math.ceil(math.log2(value) * PER_OCTAVE) - 1 if value >= MIN_VALUE else ZERO_BUCKET


def value_of(index: int) -> float:
    """The representative value of a bucket."""
    return 0.0 if index == ZERO_BUCKET else middle(index)


def middle(index: int) -> float:
    """The geometric middle of a bucket, seconds: within 1.1 % of every value in it."""
    return math.sqrt(2.0 ** (index / PER_OCTAVE) * 2.0 ** ((index + 1) / PER_OCTAVE))


def total_seconds(counts: Mapping[int, int]) -> float:
    """The sum of the counted values in seconds, each taken as the middle of its bucket: within 1.1 %."""
    return sum(count * middle(index) for index, count in counts.items())


def merge(*many: Mapping[int, int]) -> dict[int, int]:
    """The sum of histograms."""
    merged: dict[int, int] = {}
    for counts in many:
        for index, count in counts.items():
            merged[index] = merged.get(index, 0) + count
    return merged


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The q-quantile in seconds (the geometric middle of its bucket); None for an empty histogram. Raises `ValueError`
    unless 0 <= q <= 1.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"{q} is not a quantile")
    total = sum(counts.values())
    if not total:
        return None
    rank = max(math.ceil(q * total * (1 - ROUNDING)), 1)
    for index in sorted(counts):
        rank -= counts[index]
        if rank <= 0:
            return middle(index)
    raise AssertionError("ranks and counts disagree")


def classic(latency: Counter[int], uppers: Sequence[float]) -> list[tuple[str, float]]:
    """Exponential buckets as cumulative Prometheus buckets. Each is counted at its middle, so a bound is off by 1.1 %
    at most, and no count ever decreases.
    """
    found: list[tuple[str, float]] = []
    ordered = sorted(latency.items())
    total = position = 0
    for upper in uppers:
        while position < len(ordered) and middle(ordered[position][0]) <= upper:
            total += ordered[position][1]
            position += 1
        found.append((str(float(upper)), total))
    return [*found, ("+Inf", latency.total())]
