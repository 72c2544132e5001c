cdef class VersionChoice:
    cdef tuple _decisions
    cdef public object route, version, reason, fallback, shield, mirror, goals, caches
    cdef public bint analysed, preview, has_alternative

    cpdef tuple decisions(self)


cdef class Decision:
    cdef public VersionChoice choice
    cdef public object route, version, endpoint, reason, shield, mirror, goals, caches, limit
    cdef public bytes version_header
    cdef public double connect_timeout, response_timeout, keep_alive
    cdef public bint analysed, preview, has_alternative
