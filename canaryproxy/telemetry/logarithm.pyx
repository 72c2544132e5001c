"""The bucket of a duration, in C: the compiled twin of `histogram.plain_bucket_of`, for every request asks for one."""

from libc.math cimport ceil, log2

# As in `histogram`, which is imported after this.
cdef double SHORTEST = 1e-6
cdef double LONGEST = 86400.0
cdef int PER_OCTAVE = 32


cpdef long bucket_of(double seconds) except? -99999:
    """See `histogram.plain_bucket_of`."""
    if seconds <= SHORTEST:
        seconds = SHORTEST
    elif seconds > LONGEST:
        seconds = LONGEST
    return <long> ceil(log2(seconds) * PER_OCTAVE) - 1
