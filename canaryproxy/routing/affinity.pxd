cimport cython

from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.field_scan cimport is_client_id


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Key:
    cdef public bytes value
    cdef public bytes cookie
    cdef public bint kept


cdef class Sticky:
    cdef object _affinity
    cdef bytes _attributes
    cdef str _by
    cdef bytes _name

    @cython.locals(known=Key, value=bytes)
    cpdef Key key(self, Facts facts, dice)
