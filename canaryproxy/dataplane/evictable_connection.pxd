from canaryproxy.dataplane.response_writer cimport ResponseWriter


cdef class EvictableConnection(ResponseWriter):
    cdef public bint proven
    cdef public double since
    cdef public object place
    cdef public object slow
    cdef Py_ssize_t _unsent
