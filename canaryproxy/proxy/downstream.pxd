cimport cython

from canaryproxy.http1.request cimport RequestReader
from canaryproxy.model.message cimport RequestHead
from canaryproxy.proxy.exchange cimport Exchange
from canaryproxy.proxy.holding cimport Holding
from canaryproxy.proxy.shared cimport Shared


cdef class Downstream(Holding):
    cdef public double deadline
    cdef public bint blocked
    cdef public bint proven
    cdef public double since
    cdef public object place
    cdef public object slow
    cdef object _address
    cdef bint _upload_blocked
    cdef bint _advancing
    cdef bint _yielding
    cdef Py_ssize_t _drained
    cdef Py_ssize_t _unsent

    @cython.locals(reader=RequestReader, exchange=Exchange)
    cpdef data_received(self, bytes data)
    @cython.locals(reader=RequestReader, exchange=Exchange, begun=int)
    cpdef advance(self)
    cdef bint _may_begin(self, int begun) except -1
    @cython.locals(exchange=Exchange)
    cdef _begin(self, RequestHead head)
    cdef _await_request(self)
    @cython.locals(exchange=Exchange)
    cpdef rearm(self)
    cpdef finished(self, bint close)
    cdef _next(self)
