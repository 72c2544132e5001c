cdef class FastTransport:
    cpdef write(self, data)
    cpdef prefer(self)


cdef class FastProtocol:
    cdef public object transport
    cdef FastTransport _sender

    cpdef data_received(self, bytes data)
    cpdef send(self, bytes data)
