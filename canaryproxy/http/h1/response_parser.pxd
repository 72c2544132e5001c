cimport cython

from canaryproxy.http.h1.body cimport ChunkedBody, ReceiveBuffer, LengthBody
from canaryproxy.http.h1.byte_ops cimport slice_
from canaryproxy.http.h1.header_scan cimport count_lines, take_response
from canaryproxy.model.head cimport ResponseHead


cdef class ResponseParser:
    cdef object _body, _lines
    cdef ChunkedBody _chunked
    cdef ReceiveBuffer _buffer
    cdef LengthBody _length
    cdef bytes _method
    cdef int _interim
    cdef Py_ssize_t _seen

    cpdef expect(self, bytes method)
    @cython.locals(buffer=ReceiveBuffer)
    cpdef feed(self, bytes data)
    cpdef next(self)
    @cython.locals(buffer=ReceiveBuffer)
    cpdef Py_ssize_t pending(self)
    @cython.locals(buffer=ReceiveBuffer, body=LengthBody, begin=Py_ssize_t, end=Py_ssize_t)
    cpdef bytes rest(self)
    @cython.locals(buffer=ReceiveBuffer, data=bytes, begin=Py_ssize_t, end=Py_ssize_t, head=ResponseHead)
    cdef ResponseHead _head(self)
    cdef _begin_body(self, ResponseHead head)
