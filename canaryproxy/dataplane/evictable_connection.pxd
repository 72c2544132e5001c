cimport cython

from canaryproxy.http.h1.request_parser cimport RequestParser
from canaryproxy.dataplane.client_stream cimport ClientStream
from canaryproxy.dataplane.exchange cimport Exchange


cdef int FINAL, WAITING


cdef class EvictableConnection(ClientStream):
    cdef public RequestParser reader
    cdef public Exchange exchange
    cdef public object phase
    cdef public object slot
    cdef public object slow
    cdef public double deadline
    cdef public double since
    cdef public bint blocked
    cdef public bint proven
    cdef bytes _scheme
    cdef Py_ssize_t _unsent
    cdef Py_ssize_t _weight
    cdef bint _upload_blocked
    cdef bint _yielding

    cdef _weigh(self)
    cdef _count(self, Py_ssize_t weight)
    cdef _forget_bytes(self)
