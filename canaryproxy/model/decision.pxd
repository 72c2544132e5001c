cdef class VersionChoice:
    cdef tuple _decisions
    cdef public object route
    cdef public object version
    cdef public object reason
    cdef public object fallback
    cdef public object shield
    cdef public object mirror
    cdef public object goals
    cdef public object caches
    cdef public bint analysed
    cdef public bint preview
    cdef public bint has_alternative

    cpdef tuple decisions(self)


cdef class Decision:
    cdef public VersionChoice choice
    cdef public object route
    cdef public object version
    cdef public object endpoint
    cdef public object reason
    cdef public object shield
    cdef public object mirror
    cdef public object goals
    cdef public object caches
    cdef public object limit
    cdef public bytes version_header
    cdef public double connect_timeout
    cdef public double response_timeout
    cdef public double keep_alive
    cdef public bint analysed
    cdef public bint preview
    cdef public bint has_alternative
