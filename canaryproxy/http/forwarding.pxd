cimport cython

from libc.stdint cimport uint64_t

from canaryproxy.http.h1.byte_ops cimport itoa, concat
from canaryproxy.model.client cimport Client
from canaryproxy.model.head cimport RequestHead, ResponseHead


cdef uint64_t LOW_BITS
cdef tuple LOW


cdef class ForwardedClient(Client):
    cdef public bytes custom_fields, forwarded_node
    cdef public tuple added_fields


cdef class HeadRewriter:
    cdef public bytes request_id_line
    cdef bytes _identity, _seed, _high_digits, _reason, _status_line
    cdef uint64_t _serial
    cdef int _status
    cdef tuple _via, _via_field

    @cython.locals(host=bytes, plain=bytes, ours=bytes, last=bytes, line=bytes)
    cpdef tuple request(
        self, RequestHead head, ForwardedClient peer, bytes authority, bytes version, bytes upgrade=*, bytes request_id_line=*
    )
    @cython.locals(plain=bytes, ours=bytes)
    cpdef bytes response(
        self, ResponseHead head, RequestHead request, bytes extra, bint close, bytes body=*, bytes request_id_line=*
    )
    cpdef bytes request_id(self, RequestHead head)
    @cython.locals(low=bytes)
    cdef bytes _new_line(self)
    @cython.locals(serial=uint64_t, low=uint64_t)
    cdef bytes _count(self)


@cython.locals(host=bytes, plain=bytes, ours=bytes, last=bytes)
cpdef bytes write_request(RequestHead head, tuple lines)
