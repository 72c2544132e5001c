"""The bucket of a duration, in C: computed for every request. The compiled twin of logarithm.py."""

from libc.math cimport ceil, log2

PER_OCTAVE = 32
MIN_SECONDS = 1e-6
MAX_SECONDS = 86_400.0

cdef int per_octave = PER_OCTAVE
cdef double shortest = MIN_SECONDS
cdef double longest = MAX_SECONDS


cpdef long bucket_of(double seconds) except? -99999:
    """See logarithm.py."""
    if seconds <= shortest:
        seconds = shortest
    elif seconds > longest:
        seconds = longest
    return <long> ceil(log2(seconds) * per_octave) - 1
