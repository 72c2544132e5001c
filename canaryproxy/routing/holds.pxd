cimport cython

from canaryproxy.routing.facts cimport Facts


cdef class Holds:
    cpdef bint of(self, Facts facts) except -1


@cython.locals(holds=Holds)
cpdef bint all_hold(tuple conditions, Facts facts) except -1


cdef class MethodIn(Holds):
    cdef frozenset _methods

    cpdef bint of(self, Facts facts) except -1


cdef class PathBelow(Holds):
    cdef bytes _path
    cdef bytes _below

    @cython.locals(path=bytes)
    cpdef bint of(self, Facts facts) except -1


cdef class PathIs(Holds):
    cdef frozenset _paths

    cpdef bint of(self, Facts facts) except -1


cdef class PathMatches(Holds):
    cdef object _matches

    cpdef bint of(self, Facts facts) except -1


cdef class AnyIs(Holds):
    cdef frozenset _wanted
    cdef bytes _name
    cdef str _subject

    @cython.locals(value=bytes, wanted=frozenset)
    cpdef bint of(self, Facts facts) except -1


cdef class AnyMatches(Holds):
    cdef object _matches
    cdef bytes _name
    cdef str _subject

    @cython.locals(values=tuple)
    cpdef bint of(self, Facts facts) except -1


cdef class AnyListed(Holds):
    cdef object _lists
    cdef frozenset _wanted

    cpdef bint of(self, Facts facts) except -1


cdef class Among(Holds):
    cdef object _battery
    cdef object _number

    cpdef bint of(self, Facts facts) except -1


cdef class Present(Holds):
    cdef bytes _name
    cdef str _subject
    cdef bint _wanted

    cpdef bint of(self, Facts facts) except -1


cdef class FromNetworks(Holds):
    cdef tuple _networks

    cpdef bint of(self, Facts facts) except -1
