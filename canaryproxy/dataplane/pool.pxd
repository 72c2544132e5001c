cimport cython

from canaryproxy.dataplane.outlier_detection cimport OutlierDetector
from canaryproxy.dataplane.upstream_stream cimport UpstreamStream


cdef class Pool:
    cdef public object endpoint
    cdef public bytes authority
    cdef public OutlierDetector ejection
    cdef public Py_ssize_t in_flight
    cdef public object _sockets
    cdef list _idle
    cdef set _opening
    cdef bint _never_evicts
    cdef bint _retired

    @cython.locals(upstream=UpstreamStream, idle=list)
    cpdef UpstreamStream take_idle(self)
    cpdef release(self, UpstreamStream upstream, double expires)
