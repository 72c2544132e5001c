from canaryproxy.http.forwarding cimport ForwardedClient
from canaryproxy.model.head cimport ResponseHead
from canaryproxy.dataplane.transports cimport FastProtocol
from canaryproxy.dataplane.context cimport WorkerContext


cdef class ClientStream(FastProtocol):
    cdef public WorkerContext plane
    cdef public ForwardedClient peer
    cdef public int delivered
    cdef public bint paused
    cdef public bint half_closed

    cpdef interim(self, ResponseHead head)
    cpdef whole(self, ResponseHead head, bytes lines, bytes body)
    cpdef head(self, ResponseHead head, bytes lines)
    cpdef data(self, bytes piece)
    cpdef end(self, tuple trailers)
    cpdef flush(self)
    cpdef forget(self)
    cpdef complete(self)
    cpdef answer(self, failure, bytes lines, bint close)
    cpdef block(self)
    cpdef unblock(self)
    cpdef rearm(self)
    cpdef bytes leave(self)
