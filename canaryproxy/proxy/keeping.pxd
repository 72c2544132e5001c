from canaryproxy.proxy.shared cimport Shared
from canaryproxy.proxy.upstream cimport Recipient


cdef class Keeping(Recipient):
    cdef bint _kept
    cdef Shared _plane
    cdef list _replay
    cdef Py_ssize_t _replay_size
    cdef list _unsent
    cdef Py_ssize_t _unsent_size
    cdef Py_ssize_t _weight

    cdef bint _await_connection(self, bytes data) except -1
    cdef _keep(self, bytes data)
    cpdef _restore(self)
    cpdef _let_go(self)
    cdef _weigh(self)
