from canaryproxy.http1.body cimport ChunkedBody, Inbox, LengthBody
from canaryproxy.http1.scan cimport count_lines, take_response
from canaryproxy.model.message cimport ResponseHead


cdef class ResponseReader:
    cdef object _body
    cdef object _lines
    cdef ChunkedBody _chunked
    cdef Inbox _inbox
    cdef LengthBody _length
    cdef bytes _method
    cdef int _interim

    cpdef expect(self, bytes method)
    cpdef feed(self, bytes data)
    cpdef next(self)
    cpdef Py_ssize_t pending(self)
    cpdef bytes rest(self)
    cdef ResponseHead _head(self)
    cdef _begin_body(self, ResponseHead head)
