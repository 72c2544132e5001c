cdef class Sender:
    cpdef write(self, data)
    cpdef prefer(self)


cdef class Receiver:
    cdef public object transport
    cdef Sender _sender

    cpdef data_received(self, bytes data)
    cpdef send(self, bytes data)
