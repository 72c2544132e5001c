from libc.stdint cimport uint64_t


cdef class Client:
    cdef public bytes address, scheme
    cdef public object _networks, forwarding, hash, key
    cdef public uint64_t user
    cdef public bint trusted
