cimport cython


@cython.final
@cython.freelist(64)
cdef class Deadlines:
    cdef public double at
    cdef public double excluded
    cdef public double opening
    cdef public double paused_at
    cdef public double started
    cdef public double tried

    cpdef begin(self, double now)
    cpdef double latency(self, double now)
    cpdef bint undisturbed(self)
