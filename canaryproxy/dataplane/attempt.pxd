cimport cython

from canaryproxy.model.decision cimport Decision
from canaryproxy.dataplane.pool cimport Pool
from canaryproxy.dataplane.upstream_stream cimport ResponseHandler, UpstreamStream


@cython.final
@cython.freelist(64)
cdef class Attempt:
    cdef public object connecting
    cdef public object limit_key
    cdef public Pool pool
    cdef public UpstreamStream stream
    cdef public Decision target
    cdef public Py_ssize_t number
    cdef public Py_ssize_t queued

    cpdef begin(self, Decision target)
    cpdef UpstreamStream lease(self, Pool pool)
    @cython.locals(stream=UpstreamStream, pool=Pool, surplus=Py_ssize_t)
    cpdef bint release(self, bint reusable, bint paused, double expires) except -1
    @cython.locals(stream=UpstreamStream)
    cpdef drop(self)
