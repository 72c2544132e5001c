cimport cython

from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.holds cimport all_hold


cdef class Filed:
    cdef public Py_ssize_t number
    cdef public object rule
    cdef tuple _holds

    cpdef bint matches(self, Facts facts) except -1


cdef class Shelf:
    cdef public str subject
    cdef dict _by_name
    cdef list _pairs

    @cython.locals(subject=str, pairs=list, name=bytes, by_value=dict)
    cpdef list meet(self, Facts facts, list found)


cdef class RuleBook:
    cdef public tuple rules
    cdef list _shelves
    cdef dict _paths
    cdef list _rest
    cdef dict _surveys
    cdef object _cookies

    @cython.locals(best=Filed, filed=Filed, candidates=list, found=list)
    cpdef Filed first(self, Facts facts)
    @cython.locals(shelf=Shelf, found=list)
    cpdef list candidates(self, Facts facts)
