cimport cython

from canaryproxy.model.decision cimport Decision
from canaryproxy.telemetry.distinct cimport Distinct, Numbers
from canaryproxy.telemetry.logarithm cimport bucket_of


cdef dict _one_more(dict counts, key, count=*)


cdef class Cell:
    cdef list _news
    cdef dict _usual
    cdef public object key
    cdef public long second
    cdef public bint fresh
    cdef public Py_ssize_t starts
    cdef public Py_ssize_t ejections
    cdef public dict outcomes
    cdef public dict retried
    cdef public dict codes
    cdef public dict latency
    cdef public dict duration
    cdef public dict connect
    cdef public dict rescues
    cdef public dict replies

    cpdef touch(self)
    @cython.locals(bucket=object, usual=dict)
    cpdef succeed(self, double duration)
    @cython.locals(bucket=object)
    cpdef finish(self, outcome, int code, double duration, latency)
    cpdef reply(self, int status)


cdef class Recorder:
    cdef Numbers _numbers
    cdef long _second
    cdef dict _cells
    cdef list _news
    cdef dict _refused
    cdef dict _turned_away
    cdef dict _evicted
    cdef dict _users
    cdef dict _seen
    cdef dict _goals
    cdef dict _copies

    @cython.locals(second=long, cell=Cell)
    cpdef Cell start(self, Decision decision, double now)
    @cython.locals(seen=Distinct)
    cpdef saw(self, Decision decision, user)
    cpdef reach(self, Decision decision, reached, user)
