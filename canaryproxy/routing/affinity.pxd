cimport cython

from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.seek cimport is_client_id


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Key:
    cdef public bytes value
    cdef public bytes cookie


cdef class Sticky:
    cdef object _affinity
    cdef str _by
    cdef bytes _name

    cpdef Key key(self, Facts facts, dice)
