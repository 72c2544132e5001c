cdef class OutlierDetector:
    cdef public Py_ssize_t failures
    cdef public bint active
    cdef Py_ssize_t _times
    cdef double _until

    cpdef succeeded(self)
