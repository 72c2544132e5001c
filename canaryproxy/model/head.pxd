cimport cython


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class RequestHead:
    cdef public bytes method
    cdef public bytes target
    cdef public bytes host
    cdef public bytes plain
    cdef public bytes upgrade
    cdef public bint encoded
    cdef public object special
    cdef public object body
    cdef public Py_ssize_t length
    cdef public Py_ssize_t end
    cdef public int version
    cdef public bint close


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class ResponseHead:
    cdef public bytes reason
    cdef public bytes plain
    cdef public object special
    cdef public object body
    cdef public Py_ssize_t length
    cdef public Py_ssize_t end
    cdef public int status
    cdef public int version
    cdef public bint close
