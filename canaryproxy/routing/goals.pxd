cimport cython

from canaryproxy.model.client cimport Client
from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.routing.facts cimport Facts
from canaryproxy.routing.holds cimport all_hold
from canaryproxy.routing.field_scan cimport field_values


cdef class Sought:
    cdef public str name
    cdef public bytes header
    cdef public tuple conditions
    cdef public tuple counted


cdef class Goals:
    cdef list _goals

    @cython.locals(sought=Sought, found=list)
    cpdef list reached(self, RequestHead request, Client client, ResponseHead response, Facts facts=*)


@cython.locals(values=tuple)
cpdef amount(ResponseHead response, bytes name)
