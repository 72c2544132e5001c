cimport cython

from canaryproxy.http.h1.byte_ops cimport dechunk


cdef class BodyEnd:
    cdef public tuple trailers


cdef class ReceiveBuffer:
    cdef public bytes data
    cdef public Py_ssize_t position

    cpdef feed(self, bytes data)
    cpdef consume(self, Py_ssize_t end)
    cpdef bytes take_all(self)


cdef class LengthBody:
    cdef public Py_ssize_t remaining

    cpdef next(self, ReceiveBuffer buffer)


cdef class UntilClose:
    cpdef next(self, ReceiveBuffer buffer)


cdef class ChunkedBody:
    cdef object _failure, _lines, _payload, _refused
    cdef int _state
    cdef Py_ssize_t _extensions, _remaining, _seen
    cdef public object payload_limit

    cpdef reset(self)
    cpdef next(self, ReceiveBuffer buffer)
    cdef _advance(self, ReceiveBuffer buffer, list pieces)
    @cython.locals(data=bytes, end=Py_ssize_t, added=Py_ssize_t)
    cdef _whole_chunks(self, ReceiveBuffer buffer, list pieces)
    cdef bint _size(self, ReceiveBuffer buffer) except -1
    cdef _data(self, ReceiveBuffer buffer, list pieces)
    cdef bint _data_end(self, ReceiveBuffer buffer) except -1
    cdef _trailers(self, ReceiveBuffer buffer)


cdef class MessageParser:
    cdef object _body, _lines
    cdef ChunkedBody _chunked
    cdef ReceiveBuffer _buffer
    cdef LengthBody _length
    cdef Py_ssize_t _seen

    cpdef feed(self, bytes data)
    @cython.locals(buffer=ReceiveBuffer)
    cpdef Py_ssize_t pending(self)
