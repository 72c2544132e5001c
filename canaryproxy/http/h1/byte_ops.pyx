"""Concatenates and slices bytes, in C. The compiled twin of byte_ops.py.

`bytes.join` acquires and releases a buffer of every piece, which takes longer than copying the pieces of a head.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from canaryproxy.http.h1.grammar import MAX_CHUNK_LINE

ctypedef const unsigned char *Bytes

cdef enum:
    # Digits of the largest 64-bit number.
    DIGITS = 20
    # Digits of the largest chunk size.
    HEX_DIGITS = 16

cdef Py_ssize_t MOST_LINE = MAX_CHUNK_LINE
cdef signed char HEX[256]


cdef _hexadecimal():
    cdef int byte
    for byte in range(256):
        HEX[byte] = int(chr(byte), 16) if byte < 128 and chr(byte) in "0123456789abcdefABCDEF" else -1


_hexadecimal()

cdef extern from "Python.h":
    # Borrowed references: the tuple keeps the pieces alive.
    PyObject *PyTuple_GET_ITEM(object pieces, Py_ssize_t at)
    bint PyBytes_CheckExact(PyObject *piece)
    Py_ssize_t size_of "PyBytes_GET_SIZE"(PyObject *piece)
    const char *content_of "PyBytes_AS_STRING"(PyObject *piece)


cpdef bytes concat(tuple pieces):
    """See byte_ops.py."""
    cdef Py_ssize_t at, count = len(pieces), size = 0
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


cpdef bytes itoa(Py_ssize_t number):
    """See byte_ops.py."""
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


cpdef bytes slice_(bytes data, Py_ssize_t begin, Py_ssize_t end):
    """See byte_ops.py."""
    if not 0 <= begin <= end <= len(data):
        raise IndexError("no such piece")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + begin, end - begin)


cdef inline Py_ssize_t _chunk(Bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t *start, Py_ssize_t *added) noexcept nogil:
    """The end of the chunk at `at`, its final CRLF included, the start of its data, and the bytes `added` by its
    extension; -1 for a chunk that is incomplete, malformed or the last one.
    """
    cdef uint64_t size = 0
    cdef Py_ssize_t mark, begin = at
    while at < end and HEX[data[at]] >= 0:
        size = size << 4 | <uint64_t> HEX[data[at]]
        at += 1
    if not size or at == end or at - begin > HEX_DIGITS:
        return -1
    mark = at
    if data[at] != 13:
        while at < end and (data[at] == 32 or data[at] == 9):
            at += 1
        if at == end or data[at] != 59:
            return -1
        while at < end and (data[at] == 9 or 32 <= data[at] <= 126 or data[at] >= 128):
            at += 1
    added[0] = at - mark
    if at + 1 >= end or data[at] != 13 or data[at + 1] != 10 or at + 2 - begin > MOST_LINE:
        return -1
    start[0] = at = at + 2
    if end - at < 2 or size > <uint64_t> (end - at - 2):
        return -1
    at += size
    return at + 2 if data[at] == 13 and data[at + 1] == 10 else -1


cpdef tuple dechunk(bytes data, Py_ssize_t begin, Py_ssize_t room, Py_ssize_t spare):
    """See byte_ops.py. First the chunks are measured, then their data is copied, once."""
    cdef Bytes content = <Bytes> PyBytes_AS_STRING(data)
    cdef Py_ssize_t after, at = begin, end = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t size = 0, extensions = 0, start = 0, added = 0
    cdef bytes whole
    cdef char *to
    if begin < 0:
        raise IndexError("no such place")
    while True:
        after = _chunk(content, at, end, &start, &added)
        if after < 0 or size + after - 2 - start > room or extensions + added > spare:
            break
        size += after - 2 - start
        extensions += added
        at = after
    if not size:
        return b"", begin, 0
    whole = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(whole)
    end, at = at, begin
    while at < end:
        at = _chunk(content, at, PyBytes_GET_SIZE(data), &start, &added)
        memcpy(to, content + start, at - 2 - start)
        to += at - 2 - start
    return whole, end, extensions
