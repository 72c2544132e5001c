"""Finds single fields, cookies and parameters of a request, in C. The compiled twin of field_scan.py."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp

ctypedef const unsigned char *Bytes

cdef enum:
    # Longer names share the last bit of the length masks.
    LONGEST = 63


cdef inline unsigned char _lower(unsigned char byte) noexcept nogil:
    return byte + 32 if 65 <= byte <= 90 else byte


cdef bytes _trimmed(Bytes start, Bytes stop):
    while start < stop and (start[0] == 32 or start[0] == 9):
        start += 1
    while start < stop and ((stop - 1)[0] == 32 or (stop - 1)[0] == 9):
        stop -= 1
    return PyBytes_FromStringAndSize(<const char *> start, stop - start)


cdef list _with(list found, bytes value):
    """Append a value; the list is created for the first one, since most names have none."""
    if found is None:
        return [value]
    found.append(value)
    return found


cpdef tuple field_values(bytes block, bytes name):
    """See field_scan.py."""
    cdef Bytes stop, line = <Bytes> PyBytes_AS_STRING(block), end = line + PyBytes_GET_SIZE(block)
    cdef Bytes wanted = <Bytes> PyBytes_AS_STRING(name)
    cdef Py_ssize_t at, size = PyBytes_GET_SIZE(name)
    cdef list found = None
    while line < end:
        stop = <Bytes> memchr(line, 10, end - line)
        if stop == NULL:
            break
        if stop - line > size + 1 and line[size] == 58:
            at = 0
            while at < size and _lower(line[at]) == wanted[at]:
                at += 1
            if at == size:
                found = _with(found, _trimmed(line + size + 1, stop - 1))
        line = stop + 1
    return () if found is None else tuple(found)


cdef bint _named(Bytes name, const char *wanted, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(size):
        if _lower(name[at]) != <unsigned char> wanted[at]:
            return False
    return True


cpdef bint has_cache_fields(bytes block) except -1:
    """See field_scan.py."""
    cdef Bytes colon, line = <Bytes> PyBytes_AS_STRING(block), end = line + PyBytes_GET_SIZE(block)
    cdef Py_ssize_t size
    while line < end:
        colon = <Bytes> memchr(line, 58, end - line)
        if colon == NULL:
            return False
        size = colon - line
        if size == 4:
            if _named(line, b"vary", 4):
                return True
        elif size >= 7:
            if (size == 7 and _named(line, b"expires", 7)) or _named(colon - 7, b"control", 7):
                return True
            if size == 15 and _named(line, b"x-accel-expires", 15):
                return True
        line = <Bytes> memchr(colon, 10, end - colon)
        if line == NULL:
            return False
        line += 1
    return False


cpdef bytes path_of(bytes target):
    """See field_scan.py."""
    cdef Py_ssize_t size = len(target)
    cdef const char *start = PyBytes_AS_STRING(target)
    cdef const char *mark = <const char *> memchr(start, 63, size)
    return target if mark == NULL else PyBytes_FromStringAndSize(start, mark - start)


cpdef tuple cookie_values(bytes field, bytes name):
    """See field_scan.py."""
    cdef Bytes pair = <Bytes> PyBytes_AS_STRING(field), end = pair + PyBytes_GET_SIZE(field)
    cdef Bytes wanted = <Bytes> PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef Bytes stop, equals, start, last
    cdef list found = None
    while pair <= end:
        stop = _cookie_pair(pair, end, &start, &last, &equals)
        if equals != NULL and last - start == size and not memcmp(start, wanted, size):
            found = _with(found, _unquoted(_trimmed(equals + 1, stop)))
        pair = stop + 1
    return () if found is None else tuple(found)


cdef inline Bytes _cookie_pair(Bytes pair, Bytes end, Bytes *start, Bytes *last, Bytes *equals) noexcept nogil:
    """The end of the cookie pair at `pair`, with the bounds of its name and its `=`, NULL without one."""
    cdef Bytes stop = <Bytes> memchr(pair, 59, end - pair)
    if stop == NULL:
        stop = end
    equals[0] = <Bytes> memchr(pair, 61, stop - pair)
    if equals[0] != NULL:
        start[0], last[0] = pair, equals[0]
        while start[0] < last[0] and (start[0][0] == 32 or start[0][0] == 9):
            start[0] += 1
        while last[0] > start[0] and ((last[0] - 1)[0] == 32 or (last[0] - 1)[0] == 9):
            last[0] -= 1
    return stop


cdef bytes _unquoted(bytes value):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    cdef Bytes content = <Bytes> PyBytes_AS_STRING(value)
    if size > 1 and content[0] == 34 and content[size - 1] == 34:
        return value[1:-1]
    return value


cpdef bint is_client_id(bytes value) except -1:
    """See field_scan.py."""
    cdef Bytes content = <Bytes> PyBytes_AS_STRING(value)
    cdef Py_ssize_t at, size = PyBytes_GET_SIZE(value)
    if not 16 <= size <= 64:
        return False
    for at in range(size):
        if not (48 <= content[at] <= 57 or 97 <= _lower(content[at]) <= 122 or content[at] == 95 or content[at] == 45):
            return False
    return True


cpdef bint is_normal(bytes path) except -1:
    """See field_scan.py."""
    cdef Bytes at = <Bytes> PyBytes_AS_STRING(path)
    cdef Bytes end = at + PyBytes_GET_SIZE(path)
    cdef unsigned char before = 0
    while at < end:
        if at[0] == 37 or (before == 47 and (at[0] == 47 or at[0] == 46)):
            return False
        before = at[0]
        at += 1
    return True


cdef class FieldNames:
    """See field_scan.py. First byte and length exclude nearly every other name."""

    def __init__(self, names):
        cdef bytes name
        cdef int letter
        self._names = None if names is None else frozenset(names)
        self._empty = False
        for letter in range(256):
            self._lengths[letter] = 0 if self._names is not None else <uint64_t> -1
        for name in self._names or ():
            if not name:
                self._empty = True
            else:
                self._lengths[name[0]] |= <uint64_t> 1 << min(PyBytes_GET_SIZE(name), LONGEST)

    def __contains__(self, name):
        return self._names is None or name in self._names

    cdef bint _may_have(self, Bytes name, Py_ssize_t size) noexcept:
        if not size:
            return self._empty or self._names is None
        return (self._lengths[name[0]] >> (size if size < LONGEST else LONGEST)) & 1

    cpdef dict cookies(self, tuple fields):
        """See field_scan.py."""
        cdef dict found = {}
        cdef bytes field, name
        cdef Bytes pair, end, stop, equals, start, last
        for field in fields:
            pair = <Bytes> PyBytes_AS_STRING(field)
            end = pair + PyBytes_GET_SIZE(field)
            while pair <= end:
                stop = _cookie_pair(pair, end, &start, &last, &equals)
                if equals != NULL and self._may_have(start, last - start):
                    name = PyBytes_FromStringAndSize(<const char *> start, last - start)
                    if self._names is None or name in self._names:
                        _add(found, name, _unquoted(_trimmed(equals + 1, stop)))
                pair = stop + 1
        return _settled(found)


cdef int _add(dict found, bytes name, bytes value) except -1:
    """Add a value of a name. A single value is stored as a tuple at once: most names have no other."""
    cdef object before = found.get(name)
    if before is None:
        found[name] = (value,)
    elif type(before) is list:
        (<list> before).append(value)
    else:
        found[name] = [(<tuple> before)[0], value]
    return 0


cdef dict _settled(dict found):
    """Turn the lists of several values into tuples."""
    for name, values in found.items():
        if type(values) is list:
            found[name] = tuple(<list> values)
    return found


cdef int _digit(unsigned char byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    byte |= 32
    return byte - 87 if 97 <= byte <= 102 else -1


cdef bytes _decoded(Bytes start, Bytes stop):
    """Percent-decoded, once; `+` is a space, and a `%` that begins no encoding stands for itself."""
    cdef bytes whole
    cdef char *to
    cdef Bytes at = start
    cdef Py_ssize_t size = stop - start
    while at < stop and at[0] != 37 and at[0] != 43:
        at += 1
    if at == stop:
        return PyBytes_FromStringAndSize(<const char *> start, size)
    at = start
    while at < stop:
        if at[0] == 37 and stop - at > 2 and _digit(at[1]) >= 0 and _digit(at[2]) >= 0:
            size -= 2
            at += 2
        at += 1
    whole = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(whole)
    at = start
    while at < stop:
        if at[0] == 37 and stop - at > 2 and _digit(at[1]) >= 0 and _digit(at[2]) >= 0:
            to[0] = <char> (_digit(at[1]) << 4 | _digit(at[2]))
            at += 2
        else:
            to[0] = 32 if at[0] == 43 else at[0]
        to += 1
        at += 1
    return whole


cpdef dict parameters(bytes target):
    """See field_scan.py."""
    cdef dict found = {}
    cdef Bytes end = <Bytes> PyBytes_AS_STRING(target) + PyBytes_GET_SIZE(target)
    cdef Bytes pair = <Bytes> memchr(PyBytes_AS_STRING(target), 63, PyBytes_GET_SIZE(target))
    cdef Bytes stop, equals
    if pair == NULL:
        return found
    pair += 1
    while pair < end:
        stop = <Bytes> memchr(pair, 38, end - pair)
        if stop == NULL:
            stop = end
        if stop > pair:
            equals = <Bytes> memchr(pair, 61, stop - pair)
            if equals == NULL:
                _add(found, _decoded(pair, stop), b"")
            else:
                _add(found, _decoded(pair, equals), _decoded(equals + 1, stop))
        pair = stop + 1
    return _settled(found)
