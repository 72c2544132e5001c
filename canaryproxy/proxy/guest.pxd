from canaryproxy.proxy.holding cimport Holding


cdef class Guest(Holding):
    cdef public bint proven
    cdef public double since
    cdef public object place
    cdef public object slow
    cdef public double deadline
    cdef Py_ssize_t _unsent
