cimport cython

from canaryproxy.routing.compiled_route cimport CompiledRoute
from canaryproxy.routing.path cimport normalise
from canaryproxy.routing.field_scan cimport path_of


cdef class PathIndex:
    cdef int _depth
    cdef dict _prefixes
    cdef CompiledRoute _root

    @cython.locals(path=bytes, prefixes=dict, end=Py_ssize_t, best=CompiledRoute)
    cpdef CompiledRoute find(self, bytes target)


cdef class RouteIndex:
    cdef PathIndex _any
    cdef dict _exact, _wildcards
    cdef object _generation
    cdef public dict _cache, by_name
    cdef int _labels
    cdef CompiledRoute _only

    @cython.locals(paths=PathIndex)
    cpdef CompiledRoute find(self, bytes host, bytes target)
    cdef PathIndex _cache_host(self, bytes host)
