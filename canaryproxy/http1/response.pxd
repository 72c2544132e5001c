cimport cython

from canaryproxy.http1.body cimport ChunkedBody, Inbox, LengthBody
from canaryproxy.http1.byte_ops cimport cut
from canaryproxy.http1.header_scan cimport count_lines, take_response
from canaryproxy.model.head cimport ResponseHead


cdef class ResponseReader:
    cdef object _body
    cdef object _lines
    cdef ChunkedBody _chunked
    cdef Inbox _inbox
    cdef LengthBody _length
    cdef bytes _method
    cdef int _interim
    cdef Py_ssize_t _seen

    cpdef expect(self, bytes method)
    @cython.locals(inbox=Inbox)
    cpdef feed(self, bytes data)
    cpdef next(self)
    @cython.locals(inbox=Inbox)
    cpdef Py_ssize_t pending(self)
    @cython.locals(inbox=Inbox, body=LengthBody, begin=Py_ssize_t, end=Py_ssize_t)
    cpdef bytes rest(self)
    @cython.locals(inbox=Inbox, data=bytes, begin=Py_ssize_t, end=Py_ssize_t, head=ResponseHead)
    cdef ResponseHead _head(self)
    cdef _begin_body(self, ResponseHead head)
