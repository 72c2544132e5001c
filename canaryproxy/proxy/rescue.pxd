from canaryproxy.proxy.attempts cimport Attempts


cdef class Rescue(Attempts):
    pass
