cimport cython

from canaryproxy.http1.response cimport ResponseReader
from canaryproxy.model.message cimport ResponseHead
from canaryproxy.proxy.buffers cimport Buffers
from canaryproxy.proxy.ends cimport Receiver


cdef class Recipient:
    cpdef connected(self, Upstream upstream)
    cpdef connect_failed(self, failure, str why=*)
    cpdef response_whole(self, ResponseHead head, bytes body)
    cpdef bint response_head(self, ResponseHead head) except -1
    cpdef response_data(self, bytes data)
    cpdef response_end(self, tuple trailers)
    cpdef flush(self)
    cpdef upstream_failed(self, failure, str why=*)
    cpdef request_blocked(self)
    cpdef request_unblocked(self)


cdef class Upstream(Receiver):
    cdef public Recipient exchange
    cdef public ResponseReader reader
    cdef public double expires
    cdef public bint opened
    cdef public bint alive
    cdef public bint answered
    cdef public bint blocked
    cdef public bint reused
    cdef public Buffers buffers
    cdef Py_ssize_t _backlog

    cpdef bint clean(self) except -1
    cpdef abort(self)
    @cython.locals(exchange=Recipient, reader=ResponseReader)
    cpdef data_received(self, bytes data)
