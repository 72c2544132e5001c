"""The bucket of a duration. The reference of logarithm.pyx, which is what runs compiled."""

import math

# Buckets between a duration and its double.
PER_OCTAVE = 32

# Seconds. Shorter and longer times are clamped: no bucket is needed below a microsecond or beyond a day.
MIN_SECONDS = 1e-6
MAX_SECONDS = 86_400.0


def bucket_of(seconds: float) -> int:
    """The index of the bucket that holds `seconds`, clamped to a microsecond and a day."""
    if seconds <= MIN_SECONDS:
        seconds = MIN_SECONDS
    elif seconds > MAX_SECONDS:
        seconds = MAX_SECONDS
    index: int = math.ceil(math.log2(seconds) * PER_OCTAVE) - 1
    return index
