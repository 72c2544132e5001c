cimport cython

from canaryproxy.http.forwarding cimport ForwardedClient
from canaryproxy.model.decision cimport Decision
from canaryproxy.model.head cimport RequestHead, ResponseHead
from canaryproxy.dataplane.attempt cimport Attempt
from canaryproxy.dataplane.client_stream cimport ClientStream
from canaryproxy.dataplane.deadlines cimport Deadlines
from canaryproxy.dataplane.pool cimport Pool
from canaryproxy.dataplane.replay_buffer cimport ReplayBuffer
from canaryproxy.dataplane.context cimport Pools, Routing, WorkerContext
from canaryproxy.dataplane.upstream_stream cimport ResponseHandler, UpstreamStream
from canaryproxy.routing.affinity cimport ClientKey
from canaryproxy.routing.cache_control cimport CacheAdvisor
from canaryproxy.routing.decide cimport decide
from canaryproxy.routing.request_view cimport RequestView
from canaryproxy.routing.goal_matcher cimport GoalMatcher
from canaryproxy.telemetry.record.recorder cimport CounterCell


cdef tuple LEGAL
cdef int CONTINUE, SWITCHING, OK
cdef int ABANDONED, ANSWERED_EARLY, ANSWERED_EXPECTING, ANSWERING, DISCARDED, EXPECTING, FINAL, OVER, SENDING, TUNNEL, WAITING


cdef class Exchange(ResponseHandler):
    cdef public Attempt attempt
    cdef public CounterCell cell
    cdef public Deadlines deadlines
    cdef public Decision decision
    cdef public ClientStream down
    cdef public bytes request_id_line
    cdef public object plan
    cdef public WorkerContext context
    cdef public Py_ssize_t received
    cdef public RequestHead request
    cdef public Py_ssize_t sent
    cdef public int state
    cdef object _copy
    cdef RequestView _request_view
    cdef ClientKey _key
    cdef tuple _lines
    cdef object _deadline_queue
    cdef ReplayBuffer _replay
    cdef ResponseHead _response
    cdef object _user

    cpdef prepare(self, ClientStream down, RequestHead request)
    @cython.locals(legal=int)
    cdef _move(self, int to)
    @cython.locals(stream=UpstreamStream, replay=ReplayBuffer)
    cpdef Py_ssize_t weight(self) except -1
    cpdef bint owed(self) except -1
    @cython.locals(context=WorkerContext, routing=Routing, pools=Pools, request=RequestHead, peer=ForwardedClient, decision=Decision, pool=Pool, attempt=Attempt, deadlines=Deadlines)
    cpdef begin(self)
    cdef bytes _offered(self)
    @cython.locals(stream=UpstreamStream)
    cdef _lease(self, Pool pool)
    @cython.locals(attempt=Attempt, replay=ReplayBuffer, may=bint)
    cdef _send(self, UpstreamStream stream)
    @cython.locals(stream=UpstreamStream, replay=ReplayBuffer)
    cpdef request_data(self, bytes data)
    @cython.locals(stream=UpstreamStream)
    cpdef request_end(self, tuple trailers)
    cdef _body_begins(self)
    @cython.locals(bodyless=bint)
    cpdef bint response_head(self, ResponseHead head) except -1
    @cython.locals(lines=bytes)
    cpdef response_whole(self, ResponseHead head, bytes body)
    @cython.locals(context=WorkerContext, decision=Decision, lines=bytes, caches=CacheAdvisor, goals=GoalMatcher, reached=list)
    cdef bytes _answered(self, ResponseHead head)
    cdef bytes _labels(self, bytes name)
    cpdef response_data(self, bytes data)
    cpdef flush(self)
    @cython.locals(head=ResponseHead)
    cpdef response_end(self, tuple trailers)
    cdef _complete(self, ResponseHead head)
    @cython.locals(attempt=Attempt, whole=bint, expires=double)
    cpdef release(self, ResponseHead head)
    @cython.locals(attempt=Attempt, deadlines=Deadlines, stream=UpstreamStream, clients_turn=bint)
    cdef _wait(self)
    @cython.locals(attempt=Attempt)
    cpdef request_blocked(self)
    @cython.locals(stream=UpstreamStream, deadlines=Deadlines)
    cpdef response_paused(self)
    cpdef stop_deadline(self)
    @cython.locals(context=WorkerContext, deadlines=Deadlines, attempt=Attempt, now=double)
    cdef _record(self, outcome, int code, bint judged=*)
