cimport cython

from canaryproxy.model.client cimport Client
from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.matchers cimport all_match
from canaryproxy.routing.field_scan cimport field_values


cdef class CompiledGoal:
    cdef public str name
    cdef public bytes header
    cdef public tuple conditions, statuses


cdef class GoalMatcher:
    cdef list _goals

    @cython.locals(compiled=CompiledGoal, found=list)
    cpdef list match(self, RequestHead request, Client client, ResponseHead response, RequestView request_view=*)


@cython.locals(values=tuple)
cpdef amount(ResponseHead response, bytes name)
