cimport cython
from libc.stdint cimport uint64_t


cdef uint64_t WORD_BITS


@cython.final
cdef class UserNumbers:
    cdef uint64_t _a, _b, _c, _d, _end

    @cython.locals(a=uint64_t, b=uint64_t, c=uint64_t, d=uint64_t, word=uint64_t, number=int)
    cpdef uint64_t of(self, uint64_t user) except? 0


@cython.locals(number=int)
cpdef int stratum_of(uint64_t user) except -1


cdef class DistinctUsers:
    cdef object _most
    cdef dict _strata
    cdef public Py_ssize_t kept
    cdef public int level

    @cython.locals(number=int, stratum=set)
    cpdef add(self, user)
    cpdef thin(self, int level)
