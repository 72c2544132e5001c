from libc.stdint cimport uint64_t

from canaryproxy.model.client cimport Client
from canaryproxy.model.message cimport RequestHead, ResponseHead


cdef class Peer(Client):
    cdef public bytes fixed
    cdef public tuple ours


cdef class Hops:
    cdef bytes _identity
    cdef bytes _seed
    cdef uint64_t _serial
    cdef bytes _high
    cdef tuple _via
    cdef tuple _via_field

    cpdef bytes request(
        self, RequestHead head, Peer peer, bytes authority, bytes version, bytes upgrade=*, bytes request_id=*
    )
    cpdef bytes response(self, ResponseHead head, RequestHead request, bytes extra, bint close)
    cdef bytes _next_id(self)


cdef bytes _decimal(Py_ssize_t number)
