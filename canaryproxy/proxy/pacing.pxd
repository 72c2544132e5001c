cimport cython

from canaryproxy.proxy.rescue cimport Rescue
from canaryproxy.proxy.upstream cimport Upstream


cdef int ABANDONED, ANSWERED_EARLY, ANSWERED_EXPECTING, DISCARDED, EXPECTING, SENDING


cdef class Pacing(Rescue):
    cpdef bint owed(self) except -1
    cdef _begun(self)
    @cython.locals(upstream=Upstream)
    cpdef request_blocked(self)
    cpdef response_paused(self)
