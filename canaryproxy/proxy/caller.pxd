from canaryproxy.http1.hops cimport Peer
from canaryproxy.proxy.ends cimport Receiver
from canaryproxy.proxy.shared cimport Shared


cdef class Caller(Receiver):
    cdef public Shared plane
    cdef public Peer peer
    cdef public bint paused
    cdef public bint half_closed

    cpdef block(self)
    cpdef unblock(self)
    cpdef rearm(self)
    cpdef bytes leave(self)
    cpdef finished(self, bint close)
    cpdef cut(self, bint hard)
