from libc.stdint cimport uint64_t


cpdef tuple field_values(bytes block, bytes name)
cpdef bytes path_of(bytes target)
cpdef tuple cookie_values(bytes field, bytes name)
cpdef bint is_client_id(bytes value) except -1
cpdef bint is_normal(bytes path) except -1
cpdef bint has_cache_fields(bytes block) except -1
cpdef dict parameters(bytes target)


cdef class FieldNames:
    cdef frozenset _names
    cdef uint64_t _lengths[256]
    cdef bint _empty

    cdef bint _may_have(self, const unsigned char *name, Py_ssize_t size) noexcept
    cpdef dict cookies(self, tuple fields)
