cimport cython

from canaryproxy.http.h1.request_parser cimport RequestParser
from canaryproxy.model.head cimport RequestHead
from canaryproxy.dataplane.exchange cimport Exchange
from canaryproxy.dataplane.response_writer cimport ResponseWriter
from canaryproxy.dataplane.context cimport WorkerContext


cdef int NOTHING, WAITING


cdef class ClientConnection(ResponseWriter):
    cdef object _address
    cdef bint _advancing
    cdef Py_ssize_t _drained

    @cython.locals(reader=RequestParser, exchange=Exchange)
    cpdef data_received(self, bytes data)
    @cython.locals(reader=RequestParser, exchange=Exchange, begun=int)
    cpdef advance(self)
    cdef bint _may_begin(self, int begun) except -1
    @cython.locals(exchange=Exchange)
    cdef _begin(self, RequestHead head)
    cdef _await_request(self)
    @cython.locals(exchange=Exchange)
    cpdef rearm(self)
    cpdef finished(self, bint close)
    cdef _next(self)
