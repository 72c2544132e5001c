cimport cython

from canaryproxy.http.h1.body cimport ChunkedBody, LengthBody, MessageParser, ReceiveBuffer
from canaryproxy.http.h1.header_scan cimport count_lines, take_request
from canaryproxy.model.head cimport RequestHead


cdef class RequestParser(MessageParser):
    cdef object _limits
    cdef Py_ssize_t _skipped, _unmeasured, _most_bytes, _most_target, _most_line, _most_fields
    cdef bytes _host

    cpdef next(self)
    cpdef Py_ssize_t buffered_bytes(self) except -1
    @cython.locals(buffer=ReceiveBuffer, data=bytes, begin=Py_ssize_t, end=Py_ssize_t, head=RequestHead, target=bytes,
                   method=bytes, host=bytes)
    cdef RequestHead _head(self)
    cdef _measure(self, bytes data, Py_ssize_t begin, Py_ssize_t stop, Py_ssize_t method, Py_ssize_t target)
    cdef _finish_head(self, RequestHead head)
    cdef _begin_body(self, RequestHead head)
