cimport cython

from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.dataplane.exchange cimport Exchange
from canaryproxy.dataplane.evictable_connection cimport EvictableConnection
from canaryproxy.dataplane.context cimport WorkerContext


cdef int FINAL, INTERIM, NOTHING, WAITING


cdef class ResponseWriter(EvictableConnection):
    cdef list _out
    cdef bint _chunked
    cdef bint _last
    cdef bint _unbounded

    @cython.locals(request=RequestHead)
    cpdef interim(self, ResponseHead head)
    @cython.locals(data=bytes, joins=bint)
    cpdef whole(self, ResponseHead head, bytes lines, bytes body)
    cpdef head(self, ResponseHead head, bytes lines)
    @cython.locals(exchange=Exchange, plane=WorkerContext, request=RequestHead, lengthless=bint)
    cdef bytes _rewritten(self, ResponseHead head, bytes lines, bytes body)
    cdef RequestHead _request(self)
    cpdef data(self, bytes piece)
    cpdef end(self, tuple trailers)
    @cython.locals(out=list)
    cpdef flush(self)
    cpdef forget(self)
    cpdef complete(self)
    cpdef answer(self, failure, bytes lines, bint close)
    cpdef finished(self, bint close)
