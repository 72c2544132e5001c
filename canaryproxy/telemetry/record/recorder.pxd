cimport cython

from canaryproxy.model.decision cimport Decision
from canaryproxy.telemetry.record.distinct_users cimport DistinctUsers, UserNumbers
from canaryproxy.telemetry.record.logarithm cimport bucket_of


cdef dict _count(dict counts, key, count=*)


cdef class CounterCell:
    cdef list _dirty_cells
    cdef dict _usual_durations
    cdef public object key
    cdef public long second
    cdef public bint dirty
    cdef public Py_ssize_t starts, ejections
    cdef public dict outcomes, retried, codes, latency, duration, connect, rescues, replies

    cpdef mark_dirty(self)
    @cython.locals(bucket=object, usual=dict)
    cpdef succeed(self, double duration)
    @cython.locals(bucket=object)
    cpdef finish(self, outcome, int code, double duration, latency)
    cpdef reply(self, int status)


cdef class Recorder:
    cdef UserNumbers _numbers
    cdef long _second
    cdef dict _cells, _refused, _turned_away, _evicted, _seen
    cdef object _users, _goals, _mirrors
    cdef list _dirty_cells

    @cython.locals(second=long, cell=CounterCell)
    cpdef CounterCell start(self, Decision decision, double now)
    @cython.locals(seen=DistinctUsers)
    cpdef user_seen(self, Decision decision, user)
    cpdef goal_reached(self, Decision decision, reached, user)
