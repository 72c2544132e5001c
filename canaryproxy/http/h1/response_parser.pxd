cimport cython

from canaryproxy.http.h1.body cimport ChunkedBody, LengthBody, MessageParser, ReceiveBuffer
from canaryproxy.http.h1.byte_ops cimport slice_
from canaryproxy.http.h1.header_scan cimport count_lines, take_response
from canaryproxy.model.head cimport ResponseHead


cdef class ResponseParser(MessageParser):
    cdef bytes _method
    cdef int _interim

    cpdef expect(self, bytes method)
    cpdef next(self)
    @cython.locals(buffer=ReceiveBuffer, body=LengthBody, begin=Py_ssize_t, end=Py_ssize_t)
    cpdef bytes rest(self)
    @cython.locals(buffer=ReceiveBuffer, data=bytes, begin=Py_ssize_t, end=Py_ssize_t, head=ResponseHead)
    cdef ResponseHead _head(self)
    cdef _begin_body(self, ResponseHead head)
