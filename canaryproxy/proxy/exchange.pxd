cimport cython

from canaryproxy.model.message cimport RequestHead, ResponseHead
from canaryproxy.proxy.caller cimport Caller
from canaryproxy.proxy.pool cimport Pool
from canaryproxy.proxy.pacing cimport Pacing
from canaryproxy.proxy.shared cimport Shared
from canaryproxy.proxy.upstream cimport Upstream
from canaryproxy.routing.caching cimport Caches
from canaryproxy.routing.goals cimport Goals


cdef int ABANDONED, ANSWERED_EXPECTING, ANSWERING, DISCARDED, EXPECTING, FINAL, INTERIM, OVER, SENDING, TUNNEL, WAITING


cdef class Exchange(Pacing):
    cdef bint _chunk_in
    cdef bint _chunk_out
    cdef bint _close
    cdef list _out
    cdef Py_ssize_t _received
    cdef Py_ssize_t _sent
    cdef ResponseHead _response

    cpdef prepare(self, Caller down, RequestHead head)
    cpdef request_data(self, bytes data)
    cpdef request_end(self, tuple trailers)
    @cython.locals(data=bytes, joins=bint)
    cpdef response_whole(self, ResponseHead head, bytes body)
    cpdef bint response_head(self, ResponseHead head) except -1
    cpdef response_data(self, bytes data)
    cpdef flush(self)
    @cython.locals(head=ResponseHead)
    cpdef response_end(self, tuple trailers)
    @cython.locals(request=RequestHead, plane=Shared, lengthless=bint, extra=bytes, caches=Caches, goals=Goals, reached=list)
    cdef bytes _rewritten(self, ResponseHead head, bytes body=*)
    @cython.locals(out=list)
    cdef _write_out(self)
    @cython.locals(upstream=Upstream, pool=Pool)
    cpdef _release(self, ResponseHead head)
    cdef _complete(self, ResponseHead head)
    @cython.locals(plane=Shared, now=double)
    cdef _record(self, outcome, int code, bint judged=*)
