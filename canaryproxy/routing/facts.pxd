from canaryproxy.model.client cimport Client
from canaryproxy.model.message cimport RequestHead
from canaryproxy.routing.path cimport normalise
from canaryproxy.routing.seek cimport cookie_values, field_values


cdef class Facts:
    cdef RequestHead _head
    cdef bytes _path
    cdef bytes _asked
    cdef list _told
    cdef dict _headers
    cdef dict _cookies
    cdef dict _query
    cdef public Client client
    cdef public bytes method

    cpdef bytes path(self)
    cpdef list header(self, bytes name)
    cpdef list cookie(self, bytes name)
    cpdef list values(self, str subject, bytes name)
    cpdef dict everything(self, str subject)
    cpdef dict headers(self)
    cpdef dict cookies(self)
    cpdef dict query(self)
