cimport cython

from canaryproxy.proxy.ejection cimport Ejection
from canaryproxy.proxy.upstream_stream cimport UpstreamStream


cdef class Pool:
    cdef public object endpoint
    cdef public bytes authority
    cdef public Ejection ejection
    cdef public Py_ssize_t in_flight
    cdef public object _sockets
    cdef list _idle
    cdef set _opening
    cdef bint _modest
    cdef bint _retired

    @cython.locals(upstream=UpstreamStream, idle=list)
    cpdef UpstreamStream take(self)
    cpdef give_back(self, UpstreamStream upstream, double expires)
