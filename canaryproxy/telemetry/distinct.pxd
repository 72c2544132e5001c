cimport cython
from libc.stdint cimport uint64_t


@cython.locals(number=int)
cpdef int stratum_of(uint64_t user) except -1


cdef class Distinct:
    cdef object _most
    cdef dict _strata
    cdef public Py_ssize_t kept
    cdef public int level

    @cython.locals(number=int, stratum=set)
    cpdef add(self, user)
    cpdef thin(self, int level)
