cpdef tuple field_values(bytes block, bytes name)
cpdef bytes path_of(bytes target)
cpdef tuple cookie_values(bytes field, bytes name)
cpdef bint is_client_id(bytes value) except -1
cpdef bint is_normal(bytes path) except -1
cpdef bint speaks_of_caching(bytes block) except -1
