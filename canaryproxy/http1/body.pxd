cimport cython

from canaryproxy.http1.byte_ops cimport unchunked


cdef class End:
    cdef public tuple trailers


cdef class Inbox:
    cdef public bytes data
    cdef public Py_ssize_t position

    cpdef feed(self, bytes data)
    cpdef consume(self, Py_ssize_t end)
    cpdef bytes take_all(self)


cdef class LengthBody:
    cdef public Py_ssize_t remaining

    cpdef next(self, Inbox inbox)


cdef class UntilClose:
    cpdef next(self, Inbox inbox)


cdef class ChunkedBody:
    cdef object _failure
    cdef object _lines
    cdef object _payload
    cdef object _refused
    cdef int _state
    cdef Py_ssize_t _extensions
    cdef Py_ssize_t _remaining
    cdef Py_ssize_t _seen
    cdef public object payload_limit

    cpdef reset(self)
    cpdef next(self, Inbox inbox)
    cdef _advance(self, Inbox inbox, list pieces)
    @cython.locals(data=bytes, end=Py_ssize_t, added=Py_ssize_t)
    cdef _whole(self, Inbox inbox, list pieces)
    cdef bint _size(self, Inbox inbox) except -1
    cdef _data(self, Inbox inbox, list pieces)
    cdef bint _data_end(self, Inbox inbox) except -1
    cdef _trailers(self, Inbox inbox)
