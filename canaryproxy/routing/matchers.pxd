cimport cython

from canaryproxy.routing.request_view cimport RequestView


cdef class Matcher:
    cpdef bint matches(self, RequestView request) except -1


@cython.locals(matcher=Matcher)
cpdef bint all_match(tuple conditions, RequestView request) except -1


cdef class PathPrefix(Matcher):
    cdef bytes _path, _below

    @cython.locals(path=bytes)
    cpdef bint matches(self, RequestView request) except -1


cdef class MethodIn(Matcher):
    cdef frozenset _methods

    cpdef bint matches(self, RequestView request) except -1


cdef class PathIs(Matcher):
    cdef frozenset _paths

    cpdef bint matches(self, RequestView request) except -1


cdef class AnyIs(Matcher):
    cdef frozenset _wanted
    cdef bytes _name
    cdef str _subject

    @cython.locals(value=bytes, wanted=frozenset)
    cpdef bint matches(self, RequestView request) except -1


cdef class AnyMatches(Matcher):
    cdef object _matches
    cdef bytes _name
    cdef str _subject

    @cython.locals(values=tuple)
    cpdef bint matches(self, RequestView request) except -1


cdef class AnyListed(Matcher):
    cdef object _lists
    cdef frozenset _wanted

    cpdef bint matches(self, RequestView request) except -1


cdef class InPatternSet(Matcher):
    cdef object _patterns, _number

    cpdef bint matches(self, RequestView request) except -1


cdef class IsPresent(Matcher):
    cdef bytes _name
    cdef str _subject
    cdef bint _wanted

    cpdef bint matches(self, RequestView request) except -1


cdef class FromNetworks(Matcher):
    cdef tuple _networks

    cpdef bint matches(self, RequestView request) except -1
