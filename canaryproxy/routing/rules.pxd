cimport cython

from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.holds cimport Holds


cdef class Filed:
    cdef public Py_ssize_t number
    cdef public object rule
    cdef tuple _holds

    @cython.locals(holds=Holds)
    cpdef bint matches(self, Facts facts) except -1


cdef class RuleBook:
    cdef public tuple rules
    cdef dict _headers
    cdef dict _cookies
    cdef dict _query
    cdef dict _paths
    cdef list _rest

    @cython.locals(best=Filed, filed=Filed, candidates=list, found=list)
    cpdef Filed first(self, Facts facts)
    cpdef list candidates(self, Facts facts)


@cython.locals(by_value=dict, name=bytes)
cdef list _meet(dict shelf, Facts facts, str subject, list found)
