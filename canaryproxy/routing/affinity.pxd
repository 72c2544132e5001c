cimport cython

from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.field_scan cimport is_client_id


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class ClientKey:
    cdef public bytes value, cookie
    cdef public bint from_cookie


cdef class AffinityKey:
    cdef object _affinity
    cdef bytes _attributes, _name
    cdef str _by

    @cython.locals(known=ClientKey, value=bytes)
    cpdef ClientKey key(self, RequestView request, rng)
