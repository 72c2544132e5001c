cimport cython


cdef class Distinct:
    cdef object _most
    cdef dict _strata
    cdef public Py_ssize_t kept
    cdef public int level

    @cython.locals(number=int, stratum=set)
    cpdef add(self, user)
    cpdef thin(self, int level)
