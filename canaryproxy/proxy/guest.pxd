from canaryproxy.proxy.caller cimport Caller
from canaryproxy.proxy.exchange cimport Exchange


cdef class Guest(Caller):
    cdef public Exchange exchange
    cdef public object phase
    cdef public bint proven
    cdef public double since
    cdef public object place
    cdef public object slow
    cdef bytes _scheme
    cdef bint _upload_blocked
    cdef public double deadline
    cdef Py_ssize_t _unsent
