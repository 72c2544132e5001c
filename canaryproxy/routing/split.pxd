cimport cython


cdef class BlockSplit:
    cdef object _rng
    cdef bytearray _order, _places
    cdef int _strata_left, _blocks_left

    @cython.locals(
        left=int, point=double, pick=int, stratum=int, blocks=int, first=int, last=int, place=int, order=bytearray,
        places=bytearray,
    )
    cpdef int draw(self) except -1


cdef class Splits:
    cdef public object rng
    cdef dict _splits

    @cython.locals(split=BlockSplit)
    cpdef int draw(self, tuple key) except -1
