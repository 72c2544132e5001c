cdef class Client:
    cdef public bytes address
    cdef public bytes scheme
    cdef public object _networks
    cdef public bint trusted
