from libc.stdint cimport uint8_t, uint64_t


cdef class Hash:
    cdef uint64_t _begun[8]
    cdef uint64_t _keyed[8]
    cdef uint8_t _key_block[128]
    cdef int _count

    cpdef uint64_t of(self, bytes key) except? 0
