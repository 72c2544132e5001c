cimport cython

from canaryproxy.model.decision cimport Decision
from canaryproxy.model.message cimport RequestHead
from canaryproxy.proxy.caller cimport Caller
from canaryproxy.proxy.keeping cimport Keeping
from canaryproxy.proxy.pool cimport Pool
from canaryproxy.proxy.shared cimport Shared
from canaryproxy.proxy.upstream cimport Upstream
from canaryproxy.routing.affinity cimport Key
from canaryproxy.routing.decide cimport decide
from canaryproxy.routing.facts cimport Facts
from canaryproxy.telemetry.record cimport Cell


cdef frozenset IDEMPOTENT
cdef tuple LEGAL
cdef int SENDING, ANSWERED_EARLY, WAITING


cdef class Attempts(Keeping):
    cdef public Caller down
    cdef public double deadline
    cdef public int state
    cdef int _delivered
    cdef Py_ssize_t _attempts
    cdef Cell _cell
    cdef object _connecting
    cdef object _copy
    cdef object _course
    cdef Decision _decision
    cdef double _excluded
    cdef Facts _facts
    cdef RequestHead _head
    cdef object _held
    cdef bytes _identified
    cdef Key _key
    cdef double _opening
    cdef object _patience
    cdef double _paused_at
    cdef Pool _pool
    cdef Py_ssize_t _queued
    cdef bytes _request
    cdef double _started
    cdef Decision _target
    cdef double _tried
    cdef bytes _upgrade
    cdef Upstream _upstream
    cdef object _user

    @cython.locals(plane=Shared, head=RequestHead, decision=Decision, pool=Pool, now=double)
    cpdef begin(self)
    @cython.locals(legal=int)
    cdef _move(self, int to)
    @cython.locals(upstream=Upstream)
    cdef _lease(self, Pool pool)
    @cython.locals(method=bytes, unsent=list)
    cdef _send(self, Upstream upstream)
    @cython.locals(upstream=Upstream, turn=bint)
    cdef _wait(self)
    @cython.locals(upstream=Upstream)
    cdef _pass_on(self, bytes data)
    cpdef response_paused(self)
