cdef class Buffers:
    cdef public Py_ssize_t held
    cdef public Py_ssize_t limit
    cdef public Py_ssize_t water
    cdef public Py_ssize_t portion
    cdef public bint tight
    cdef public bint refusing
    cdef public bint pressed
    cdef public bint cutting
    cdef public object crossed
    cdef public Py_ssize_t shed
    cdef Py_ssize_t _mark
    cdef bint _alarmed

    cpdef add(self, Py_ssize_t size)
    cpdef int drop(self, Py_ssize_t size) except -1
