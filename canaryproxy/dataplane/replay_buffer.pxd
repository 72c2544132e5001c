from canaryproxy.dataplane.buffers cimport Buffers


cdef class ReplayBuffer:
    cdef Buffers _buffers
    cdef public list pieces
    cdef public tuple trailers
    cdef public Py_ssize_t size
    cdef public Py_ssize_t weight
    cdef public bint complete

    cpdef bint hold(self, bytes piece) except -1
    cpdef keep(self, bytes piece)
    cdef _add(self, bytes piece)
    cpdef drop(self)
