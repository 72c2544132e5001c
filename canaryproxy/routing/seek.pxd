cpdef list field_values(bytes block, bytes name)
cpdef list cookie_values(bytes field, bytes name)
cpdef bint is_client_id(bytes value) except -1
cpdef bint is_normal(bytes path) except -1
