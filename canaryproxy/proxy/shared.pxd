from canaryproxy.http1.hops cimport Hops
from canaryproxy.proxy.buffers cimport Buffers
from canaryproxy.routing.match cimport RouteIndex
from canaryproxy.routing.split cimport Splits
from canaryproxy.telemetry.record cimport Recorder


cdef class Shared:
    cdef public object settings
    cdef public object now
    cdef public object wall
    cdef public object access_log
    cdef public object errors
    cdef public object mirrors
    cdef public object sockets
    cdef public object loads
    cdef public object held
    cdef public Buffers buffers
    cdef public Hops hops
    cdef public Recorder recorder
    cdef public RouteIndex index
    cdef public Splits splits
    cdef public dict lent
    cdef public set tunnels
    cdef public double tick
    cdef public double slack
    cdef public double keep_alive
    cdef public bint draining
    cdef public object _loop
    cdef public object _identity
    cdef public dict _pools
    cdef public dict _budgets
    cdef public dict _patiences

    cpdef double in_seconds(self, double seconds)
