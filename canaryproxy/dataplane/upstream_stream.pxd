from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.dataplane.transports cimport FastProtocol


cdef class ResponseHandler:
    cpdef connected(self, UpstreamStream upstream)
    cpdef connect_failed(self, failure, str why=*)
    cpdef response_whole(self, ResponseHead head, bytes body)
    cpdef bint response_head(self, ResponseHead head) except -1
    cpdef response_data(self, bytes data)
    cpdef response_end(self, tuple trailers)
    cpdef flush(self)
    cpdef upstream_failed(self, failure, str why=*)
    cpdef request_blocked(self)
    cpdef request_unblocked(self)


cdef class UpstreamStream(FastProtocol):
    cdef public ResponseHandler exchange
    cdef public double expires
    cdef public bint alive
    cdef public bint answered
    cdef public bint blocked
    cdef public bint reused

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
