cimport cython

from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.matchers cimport all_match


cdef class IndexedRule:
    cdef public Py_ssize_t number
    cdef public object rule
    cdef tuple _matchers

    cpdef bint matches(self, RequestView request) except -1


cdef class FieldIndex:
    cdef public str subject
    cdef dict _by_name
    cdef list _pairs

    @cython.locals(subject=str, pairs=list, name=bytes, by_value=dict)
    cpdef list collect(self, RequestView request, list found)


cdef class RuleIndex:
    cdef public tuple rules
    cdef list _field_indexes, _unindexed
    cdef dict _paths, _vary_cache
    cdef object _cookies

    @cython.locals(best=IndexedRule, indexed=IndexedRule, candidates=list, found=list)
    cpdef IndexedRule first_match(self, RequestView request)
    @cython.locals(field_index=FieldIndex, found=list)
    cpdef list candidates(self, RequestView request)
