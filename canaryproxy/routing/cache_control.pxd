from canaryproxy.model.head cimport ResponseHead
from canaryproxy.routing.field_scan cimport has_cache_fields


cdef class CacheAdvisor:
    cdef public bytes vary
    cdef bytes _private
    cdef object _asked
    cdef tuple _names, _without_cookie

    cpdef bytes lines(self, ResponseHead head, bytes cookie, wall_clock)
