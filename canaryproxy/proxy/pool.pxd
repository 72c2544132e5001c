cimport cython

from canaryproxy.proxy.ejection cimport Ejection
from canaryproxy.proxy.upstream cimport Upstream


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

    @cython.locals(upstream=Upstream, idle=list)
    cpdef Upstream take(self)
    cpdef give_back(self, Upstream upstream, double expires)
