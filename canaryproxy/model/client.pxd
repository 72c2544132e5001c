from libc.stdint cimport uint64_t


cdef class Client:
    cdef public bytes address
    cdef public bytes scheme
    cdef public object _networks
    cdef public object forwarding
    cdef public object hash
    cdef public object key
    cdef public uint64_t user
    cdef public bint trusted
