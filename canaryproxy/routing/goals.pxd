cimport cython

from canaryproxy.model.client cimport Client
from canaryproxy.model.message cimport RequestHead, ResponseHead
from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.holds cimport Holds
from canaryproxy.routing.seek cimport field_values


cdef class Goals:
    cdef list _goals

    @cython.locals(statuses=tuple, header=bytes, conditions=list, found=list)
    cpdef list reached(self, RequestHead request, Client client, ResponseHead response, Facts facts=*)


cpdef amount(ResponseHead response, bytes name)


@cython.locals(low=int, high=int)
cdef bint _within(int status, tuple ranges) except -1

@cython.locals(holds=Holds)
cdef bint _all_hold(list conditions, Facts facts) except -1
