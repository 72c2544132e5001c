cimport cython


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class RequestHead:
    cdef public bytes method, target, host, plain, upgrade
    cdef public bint encoded, close
    cdef public object special, body
    cdef public Py_ssize_t length, end
    cdef public int version


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class ResponseHead:
    cdef public bytes reason, plain
    cdef public object special, body
    cdef public Py_ssize_t length, end
    cdef public int status, version
    cdef public bint close
