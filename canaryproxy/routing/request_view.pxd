cimport cython

from canaryproxy.model.client cimport Client
from canaryproxy.model.head cimport RequestHead
from canaryproxy.routing.path cimport normalise
from canaryproxy.routing.field_scan cimport cookie_values, field_values, parameters, path_of


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class RequestView:
    cdef RequestHead _head
    cdef bytes _path, _last_name
    cdef tuple _last_values
    cdef dict _headers, _cookies, _query, _matches
    cdef object _expected
    cdef int _searches
    cdef public Client client
    cdef public bytes method

    cpdef begin(self, RequestHead head, Client client)
    cpdef bytes path(self)
    @cython.locals(head=RequestHead)
    cpdef tuple header(self, bytes name)
    cpdef tuple cookie(self, bytes name)
    cpdef tuple values(self, str subject, bytes name)
    @cython.locals(name=bytes, value=bytes)
    cdef bint _may_hide(self, special) except -1
    cpdef expect_cookies(self, cookies)
    @cython.locals(found=dict)
    cpdef cached_match(self, what)
    cpdef dict all_values(self, str subject)
    cpdef dict headers(self)
    cpdef dict cookies(self)
    cpdef dict query(self)
