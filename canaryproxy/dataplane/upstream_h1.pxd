cimport cython

from canaryproxy.http.forwarding cimport write_request
from canaryproxy.http.h1.response_parser cimport ResponseParser
from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.dataplane.buffers cimport Buffers
from canaryproxy.dataplane.upstream_stream cimport ResponseHandler, UpstreamStream


cdef class UpstreamConnection(UpstreamStream):
    cdef public ResponseParser reader
    cdef public bint opened
    cdef public Buffers buffers
    cdef bint _chunked
    cdef Py_ssize_t _backlog

    @cython.locals(data=bytes)
    cpdef ask(self, ResponseHandler handler, RequestHead head, tuple lines, list pieces, tuple trailers)
    cpdef data(self, bytes piece)
    cpdef end(self, tuple trailers)
    cpdef pause(self)
    cpdef resume(self)
    cpdef Py_ssize_t queued(self) except -1
    cpdef bint clean(self) except -1
    cpdef Py_ssize_t surplus(self) except -1
    cpdef abort(self)
    cpdef bytes leave(self)
    cpdef Py_ssize_t weight(self) except -1
    @cython.locals(exchange=ResponseHandler, reader=ResponseParser)
    cpdef data_received(self, bytes data)
