"""Bytes put together from pieces, and pieces of them, in C. The compiled twin of `pieces`.

`bytes.join` asks every piece for its buffer and holds on to it, which takes longer than to copy what a head consists of.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.string cimport memcpy

cdef enum:
    # Of the largest number there is.
    DIGITS = 20

cdef extern from "Python.h":
    # Without a reference of their own: the tuple has one to each piece.
    PyObject *PyTuple_GET_ITEM(object pieces, Py_ssize_t at)
    bint PyBytes_CheckExact(PyObject *piece)
    Py_ssize_t size_of "PyBytes_GET_SIZE"(PyObject *piece)
    const char *content_of "PyBytes_AS_STRING"(PyObject *piece)


cpdef bytes joined(tuple pieces):
    """See `pieces.joined`."""
    cdef Py_ssize_t count = len(pieces)
    cdef Py_ssize_t at
    cdef Py_ssize_t size = 0
    cdef PyObject *piece
    cdef bytes whole
    cdef char *to
    for at in range(count):
        piece = PyTuple_GET_ITEM(pieces, at)
        if not PyBytes_CheckExact(piece):
            raise TypeError("a piece is not bytes")
        size += size_of(piece)
    whole = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(whole)
    for at in range(count):
        piece = PyTuple_GET_ITEM(pieces, at)
        size = size_of(piece)
        memcpy(to, content_of(piece), size)
        to += size
    return whole


cpdef bytes decimal(Py_ssize_t number):
    """See `pieces.decimal`."""
    cdef char digits[DIGITS]
    cdef int at = DIGITS
    cdef unsigned long long left = number
    if number < 0:
        raise ValueError("a number below 0")
    while True:
        at -= 1
        digits[at] = 48 + left % 10
        left //= 10
        if not left:
            return PyBytes_FromStringAndSize(digits + at, DIGITS - at)


cpdef bytes cut(bytes data, Py_ssize_t begin, Py_ssize_t end):
    """See `pieces.cut`."""
    if not 0 <= begin <= end <= len(data):
        raise IndexError("no such piece")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + begin, end - begin)
