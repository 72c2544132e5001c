cimport cython

from canaryproxy.routing.entry cimport Entry
from canaryproxy.routing.path cimport normalise
from canaryproxy.routing.field_scan cimport path_of


cdef class Paths:
    cdef int _depth
    cdef dict _prefixes
    cdef Entry _root

    @cython.locals(path=bytes, prefixes=dict, end=Py_ssize_t, best=Entry)
    cpdef Entry find(self, bytes target)


cdef class RouteIndex:
    cdef Paths _any
    cdef dict _exact
    cdef object _generation
    cdef public dict _known
    cdef int _labels
    cdef Entry _only
    cdef dict _wildcards
    cdef public dict by_name

    @cython.locals(paths=Paths)
    cpdef Entry find(self, bytes host, bytes target)
    cdef Paths _remember(self, bytes host)
