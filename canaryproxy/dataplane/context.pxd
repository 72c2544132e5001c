from canaryproxy.http.forwarding cimport HeadRewriter
from canaryproxy.dataplane.buffers cimport Buffers
from canaryproxy.dataplane.pool cimport Pool
from canaryproxy.model.decision cimport Decision
from canaryproxy.routing.route_index cimport RouteIndex
from canaryproxy.routing.split cimport Splits
from canaryproxy.telemetry.record.recorder cimport Recorder


cdef class Clock:
    cdef public object loop
    cdef public object now
    cdef public object wall_clock
    cdef public double slack
    cdef public double tick

    cpdef double deadline_in(self, double seconds)


cdef class Routing:
    cdef public RouteIndex index
    cdef public Splits splits


cdef class Pools:
    cdef public dict by_decision
    cdef public dict by_endpoint
    cdef public object endpoint_load
    cdef public object in_flight
    cdef public object sockets

    cpdef Pool of(self, Decision decision)


cdef class Telemetry:
    cdef public object access_log
    cdef public object errors
    cdef public Recorder recorder


cdef class Lifetime:
    cdef public bint draining
    cdef public double keep_alive


cdef class WorkerContext:
    cdef public object settings
    cdef public object mirrors
    cdef public object shields
    cdef public Buffers buffers
    cdef public Clock clock
    cdef public HeadRewriter head_rewriter
    cdef public Lifetime lifetime
    cdef public Pools pools
    cdef public Routing routing
    cdef public Telemetry telemetry
    cdef public set tunnels
