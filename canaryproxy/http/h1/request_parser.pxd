cimport cython

from canaryproxy.http.h1.body cimport ChunkedBody, ReceiveBuffer, LengthBody
from canaryproxy.http.h1.header_scan cimport count_lines, take_request
from canaryproxy.model.head cimport RequestHead


cdef class RequestParser:
    cdef object _body, _limits, _lines
    cdef ChunkedBody _chunked
    cdef ReceiveBuffer _buffer
    cdef LengthBody _length
    cdef Py_ssize_t _seen, _skipped, _unmeasured, _most_bytes, _most_target, _most_line, _most_fields
    cdef bytes _host

    @cython.locals(buffer=ReceiveBuffer)
    cpdef feed(self, bytes data)
    cpdef next(self)
    @cython.locals(buffer=ReceiveBuffer)
    cpdef Py_ssize_t pending(self)
    cpdef Py_ssize_t buffered_bytes(self) except -1
    @cython.locals(buffer=ReceiveBuffer, data=bytes, begin=Py_ssize_t, end=Py_ssize_t, head=RequestHead, target=bytes, method=bytes,
                   host=bytes)
    cdef RequestHead _head(self)
    cdef _measure(self, bytes data, Py_ssize_t begin, Py_ssize_t stop, Py_ssize_t method, Py_ssize_t target)
    cdef _finish_head(self, RequestHead head)
    cdef _begin_body(self, RequestHead head)
