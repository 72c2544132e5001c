"""Splits complete heads in one pass over the bytes, in C. The compiled twin of header_scan.py, which documents the results.

Compiled Python would be slower than the patterns of the plain twin, and those take as long as nginx needs for a whole
request. Differential tests feed both twins the same bytes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy

from canaryproxy.model.head cimport RequestHead, ResponseHead

from canaryproxy.model.fields import REQUEST_SPECIAL, RESPONSE_SPECIAL, is_x_forwarded
from canaryproxy.model.head import Body

cdef object LENGTH = Body.LENGTH
cdef object NO_BODY = Body.NONE

ctypedef const unsigned char *Bytes

cdef enum:
    TOKEN = 1    # tchar (RFC 9110 5.6.2)
    VALUE = 2    # tab, space, visible ASCII and obs-text
    TARGET = 4   # visible ASCII but `#`: see grammar.TARGET_BYTE
    AUTHORITY = 8
    DIGIT = 16
    # No special name is longer, except for those of the family `x-forwarded`.
    LONGEST_NAME = 32
    FAMILY = 11
    # Digits that always fit into 63 bits; longer numbers are left to `framing`.
    MOST_DIGITS = 18
    # Runs of lines that are recorded by offset before they are copied.
    MOST_RUNS = 16

cdef unsigned char CLASS[256]
cdef unsigned char LOWER[256]

cdef uint64_t ONES = 0x0101010101010101, HIGHS = 0x8080808080808080
cdef uint64_t SPACES = 0x2020202020202020, DELETES = 0x7f7f7f7f7f7f7f7f


cdef _classify():
    cdef int byte
    for byte in range(256):
        CLASS[byte] = 0
        LOWER[byte] = byte + 32 if 65 <= byte <= 90 else byte
        if bytes((byte,)).isalnum() or byte in b"!#$%&'*+-.^_`|~":
            CLASS[byte] |= TOKEN
        if byte == 9 or 32 <= byte <= 126 or byte >= 128:
            CLASS[byte] |= VALUE
        if 33 <= byte <= 126:
            CLASS[byte] |= AUTHORITY
            if byte != 35:
                CLASS[byte] |= TARGET
        if 48 <= byte <= 57:
            CLASS[byte] |= DIGIT


_classify()

cdef const char *FAMILY_NAME = b"x-forwarded"


cdef bint _of_family(Bytes name, Py_ssize_t size) noexcept nogil:
    """Whether a name is `x-forwarded` or begins with `x-forwarded-`; `_` counts as a dash."""
    cdef Py_ssize_t at
    cdef unsigned char byte
    if size < FAMILY or LOWER[name[0]] != 120:
        return False
    for at in range(1, FAMILY):
        byte = LOWER[name[at]]
        if (45 if byte == 95 else byte) != <unsigned char> FAMILY_NAME[at]:
            return False
    return size == FAMILY or name[FAMILY] == 45 or name[FAMILY] == 95


cdef class FieldFinder:
    """A set of lower-case names. First letter and length exclude nearly every other name. `family`: the set includes all
    names of the family `x-forwarded`.
    """

    cdef frozenset names
    cdef bint family
    cdef uint64_t lengths[256]

    def __init__(self, names, *, family=False):
        self.names = frozenset(names)
        self.family = family
        for letter in range(256):
            self.lengths[letter] = 0
        for name in names:
            for first in (name[0], name[:1].upper()[0]):
                self.lengths[first] |= <uint64_t> 1 << len(name)

    cdef inline bint may_have(self, Bytes name, Py_ssize_t size) noexcept:
        if size < LONGEST_NAME and (self.lengths[name[0]] >> size) & 1:
            return True
        return self.family and _of_family(name, size)

    cdef bint has(self, bytes name) except -1:
        return name in self.names or (self.family and is_x_forwarded(name))


cdef FieldFinder REQUEST = FieldFinder(REQUEST_SPECIAL, family=True)
cdef FieldFinder RESPONSE = FieldFinder(RESPONSE_SPECIAL)


cdef inline Py_ssize_t _value_end(Bytes data, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """The end of the field value at `at`. Eight bytes at a time, up to the first control character."""
    cdef uint64_t word, other
    while at + 8 <= end:
        memcpy(&word, data + at, 8)
        other = word ^ DELETES
        if ((word - SPACES) & ~word & HIGHS) | ((other - ONES) & ~other & HIGHS):
            while at < end and CLASS[data[at]] & VALUE:
                at += 1
                if data[at - 1] == 9:
                    break
            else:
                return at
            continue
        at += 8
    while at < end and CLASS[data[at]] & VALUE:
        at += 1
    return at


cdef inline Py_ssize_t _token_end(Bytes data, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    while at < end and CLASS[data[at]] & TOKEN:
        at += 1
    return at


cdef inline bint _line_ends(Bytes data, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    return at + 1 < end and data[at] == 13 and data[at + 1] == 10


cdef inline Py_ssize_t _field(
    Bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t *colon, Py_ssize_t *stop
) noexcept nogil:
    """The start of the line after the field at `at`, with the offsets of its colon and of the end of its value. `at` if no
    name begins there; -1 if the field is incomplete or invalid.
    """
    colon[0] = _token_end(data, at, end)
    if colon[0] == at:
        return at
    if colon[0] >= end or data[colon[0]] != 58:
        return -1
    stop[0] = _value_end(data, colon[0] + 1, end)
    return stop[0] + 2 if _line_ends(data, stop[0], end) else -1


cdef inline bytes _cut(Bytes data, Py_ssize_t start, Py_ssize_t stop):
    return PyBytes_FromStringAndSize(<const char *> data + start, stop - start)


cdef bytes _trimmed(Bytes data, Py_ssize_t start, Py_ssize_t stop):
    while start < stop and (data[start] == 32 or data[start] == 9):
        start += 1
    while start < stop and (data[stop - 1] == 32 or data[stop - 1] == 9):
        stop -= 1
    return _cut(data, start, stop)


cdef inline bint _is(Bytes name, Py_ssize_t size, const char *wanted, Py_ssize_t length) noexcept nogil:
    """Whether this is the wanted lower-case name."""
    cdef Py_ssize_t at
    if size != length:
        return False
    for at in range(size):
        if LOWER[name[at]] != <unsigned char> wanted[at]:
            return False
    return True


cdef Py_ssize_t _number(Bytes data, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """The number in a value of up to `MOST_DIGITS` digits; -1 for any other value."""
    cdef Py_ssize_t number = 0
    if start < stop and data[start] == 32:
        start += 1
    if not 0 < stop - start <= MOST_DIGITS:
        return -1
    while start < stop:
        if not CLASS[data[start]] & DIGIT:
            return -1
        number = number * 10 + data[start] - 48
        start += 1
    return number


cdef bint _keeps(Bytes data, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    return stop - start == 11 and not memcmp(data + start, b" keep-alive", 11)


cdef bytes _lowered(Bytes name, Py_ssize_t size, bint *underscored):
    """A name in lower case, spelled with `-`."""
    cdef bytes lowered = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *lower = <unsigned char *> PyBytes_AS_STRING(lowered)
    cdef Py_ssize_t at
    for at in range(size):
        lower[at] = LOWER[name[at]]
        if lower[at] == 95:
            underscored[0] = True
            lower[at] = 45
    return lowered


cdef class Lines:
    """The fields of one head: special ones extracted, the others recorded in place as runs of whole lines.

    `run` is the start of the current run. Earlier runs are in `starts` and `stops`; if there were more than `MOST_RUNS`,
    the first ones were copied to `kept`.
    """

    cdef bytes kept
    cdef list special
    cdef Py_ssize_t run
    cdef int runs
    cdef Py_ssize_t starts[MOST_RUNS]
    cdef Py_ssize_t stops[MOST_RUNS]

    cdef Py_ssize_t take(self, Bytes data, Py_ssize_t at, Py_ssize_t end, FieldFinder names):
        """The end of the block of fields at `at`, its final CRLF included; -1 if it is incomplete or invalid."""
        cdef Py_ssize_t start, colon = 0, stop = 0
        cdef bint underscored
        cdef bytes name
        self.kept = None
        self.special = None
        self.runs = 0
        self.run = at
        while True:
            start = at
            at = _field(data, start, end, &colon, &stop)
            if at <= start:
                return start + 2 if at == start and _line_ends(data, start, end) else -1
            if names.may_have(data + start, colon - start):
                underscored = False
                name = _lowered(data + start, colon - start, &underscored)
                if names.has(name):
                    self.leave_out(data, start, at)
                    if not underscored:
                        if self.special is None:
                            self.special = []
                        self.special.append((name, _trimmed(data, colon + 1, stop)))

    cdef Py_ssize_t take_routine(self, Bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t *length):
        """The same for a response whose only special fields are one length and perhaps `keep-alive`; -1 for any other."""
        cdef Py_ssize_t start, colon = 0, stop = 0
        self.kept = None
        self.runs = 0
        self.run = at
        while True:
            start = at
            at = _field(data, start, end, &colon, &stop)
            if at <= start:
                return start + 2 if at == start and _line_ends(data, start, end) else -1
            if RESPONSE.may_have(data + start, colon - start):
                if _is(data + start, colon - start, b"content-length", 14):
                    if length[0] >= 0:
                        return -1
                    length[0] = _number(data, colon + 1, stop)
                    if length[0] < 0:
                        return -1
                elif not _is(data + start, colon - start, b"connection", 10) or not _keeps(data, colon + 1, stop):
                    if not self.ordinary(data + start, colon - start):
                        return -1
                    continue
                self.leave_out(data, start, at)

    cdef bint ordinary(self, Bytes name, Py_ssize_t size) except -1:
        cdef bint underscored = False
        return _lowered(name, size, &underscored) not in RESPONSE.names

    cdef int leave_out(self, Bytes data, Py_ssize_t start, Py_ssize_t stop) except -1:
        if start > self.run:
            if self.runs == MOST_RUNS:
                self.kept = self.gather(data)
                self.runs = 0
            self.starts[self.runs] = self.run
            self.stops[self.runs] = start
            self.runs += 1
        self.run = stop
        return 0

    cdef bytes plain(self, Bytes data, Py_ssize_t stop):
        """All lines up to `stop` but the special ones."""
        if not self.runs and self.kept is None:
            return _cut(data, self.run, stop)
        self.leave_out(data, stop, stop)
        return self.gather(data)

    cdef bytes gather(self, Bytes data):
        """The recorded runs, concatenated."""
        cdef Py_ssize_t size = 0 if self.kept is None else PyBytes_GET_SIZE(self.kept)
        cdef bytes whole
        cdef char *to
        cdef int run
        for run in range(self.runs):
            size += self.stops[run] - self.starts[run]
        whole = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(whole)
        if self.kept is not None:
            memcpy(to, PyBytes_AS_STRING(self.kept), PyBytes_GET_SIZE(self.kept))
            to += PyBytes_GET_SIZE(self.kept)
        for run in range(self.runs):
            size = self.stops[run] - self.starts[run]
            memcpy(to, data + self.starts[run], size)
            to += size
        return whole


# Shared by all heads: no Python code that could parse another head runs while one is split.
cdef Lines LINES = Lines()


cpdef RequestHead take_request(bytes data, Py_ssize_t begin):
    """See header_scan.py."""
    cdef Bytes content = <Bytes> PyBytes_AS_STRING(data)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(data), at = _token_end(content, begin, end), method_end = at
    cdef Py_ssize_t target, target_end, host, stop
    cdef bint encoded = False
    cdef RequestHead head
    if at == begin or at >= end or content[at] != 32:
        return None
    target = at = at + 1
    while at < end and CLASS[content[at]] & TARGET:
        encoded |= content[at] == 37
        at += 1
    target_end = at
    if at == target or at + 11 > end or memcmp(content + at, b" HTTP/1.", 8) or not _line_ends(content, at + 9, end):
        return None
    if content[at + 8] != 48 and content[at + 8] != 49:
        return None
    head = RequestHead.__new__(RequestHead)
    head.version = content[at + 8] - 38
    head.close = head.version == 10
    at += 11
    host = _first_host(content, at, end, &stop)
    if host >= 0:
        at = stop + 2
    stop = LINES.take(content, at, end, REQUEST)
    if stop < 0:
        return None
    head.method = _known_method(content, begin, method_end)
    head.target = _cut(content, target, target_end)
    head.encoded = encoded
    head.host = None if host < 0 else _known_host(content, host, at - 2)
    head.plain = LINES.plain(content, stop - 2)
    head.special = LINES.special if LINES.special is not None else ()
    head.upgrade = b""
    head.body = NO_BODY
    head.length = -1
    head.end = stop
    return head


cdef tuple METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")


cdef bytes _known_method(Bytes data, Py_ssize_t start, Py_ssize_t stop):
    """A common method as a shared object, whose hash is cached."""
    cdef bytes method
    for method in METHODS:
        if PyBytes_GET_SIZE(method) == stop - start and not memcmp(PyBytes_AS_STRING(method), data + start, stop - start):
            return method
    return _cut(data, start, stop)


cdef bytes last_host = b""


cdef bytes _known_host(Bytes data, Py_ssize_t start, Py_ssize_t stop):
    """The last host as a shared object: most requests name the same one."""
    global last_host
    cdef Py_ssize_t size = stop - start
    if PyBytes_GET_SIZE(last_host) != size or memcmp(PyBytes_AS_STRING(last_host), data + start, size):
        last_host = _cut(data, start, stop)
    return last_host


cdef Py_ssize_t _first_host(Bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t *stop) noexcept nogil:
    """The start of the value of a Host field at `at`; -1 for another field or a malformed value."""
    cdef Py_ssize_t start
    if at + 5 > end or LOWER[data[at]] != 104 or LOWER[data[at + 1]] != 111 or LOWER[data[at + 2]] != 115:
        return -1
    if LOWER[data[at + 3]] != 116 or data[at + 4] != 58:
        return -1
    at += 5
    while at < end and (data[at] == 32 or data[at] == 9):
        at += 1
    start = at
    while at < end and CLASS[data[at]] & AUTHORITY:
        at += 1
    stop[0] = at
    return start if at > start and _line_ends(data, at, end) else -1


cpdef ResponseHead take_response(bytes data, Py_ssize_t begin):
    """See header_scan.py."""
    cdef Bytes content = <Bytes> PyBytes_AS_STRING(data)
    cdef Py_ssize_t reason, stop, length = -1, at = begin, end = PyBytes_GET_SIZE(data)
    cdef int version, status
    cdef ResponseHead head
    if at + 14 > end or memcmp(content + at, b"HTTP/1.", 7) or content[at + 8] != 32:
        return None
    version = content[at + 7] - 38
    if version < 10 or version > 11 or not 49 <= content[at + 9] <= 53:
        return None
    if not CLASS[content[at + 10]] & CLASS[content[at + 11]] & DIGIT:
        return None
    status = (content[at + 9] - 48) * 100 + (content[at + 10] - 48) * 10 + content[at + 11] - 48
    at = reason = at + 12
    if content[at] == 32:
        reason = at + 1
        at = _value_end(content, reason, end)
    if not _line_ends(content, at, end):
        return None
    stop = LINES.take_routine(content, at + 2, end, &length)
    if stop < 0 or length < 0 or version == 10 or status < 200 or status == 204 or status == 304:
        length = -1
        stop = LINES.take(content, at + 2, end, RESPONSE)
        if stop < 0:
            return None
    head = ResponseHead.__new__(ResponseHead)
    head.status = status
    head.reason = _known_reason(content, reason, at)
    head.version = version
    head.plain = LINES.plain(content, stop - 2)
    head.special = ()
    head.length = length
    head.body = LENGTH if length >= 0 else NO_BODY
    if length < 0 and LINES.special is not None:
        head.special = LINES.special
    head.close = version == 10
    head.end = stop
    return head


cpdef bint field_line(bytes line):
    """Whether this is one valid field line with its CRLF, as `grammar.field_line`."""
    cdef Bytes data = <Bytes> PyBytes_AS_STRING(line)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
    cdef Py_ssize_t colon, stop
    return size > 0 and _field(data, 0, size, &colon, &stop) == size


cpdef Py_ssize_t count_lines(bytes data, Py_ssize_t begin, Py_ssize_t end) except -1:
    """See header_scan.py."""
    cdef Bytes at = <Bytes> PyBytes_AS_STRING(data) + begin
    cdef Bytes stop = <Bytes> PyBytes_AS_STRING(data) + end
    cdef Py_ssize_t count = 0
    while True:
        at = <Bytes> memchr(at, 10, stop - at)
        if at == NULL:
            return count
        at += 1
        count += 1


cdef bytes last_reason = b"OK"


cdef bytes _known_reason(Bytes data, Py_ssize_t start, Py_ssize_t stop):
    global last_reason
    cdef Py_ssize_t size = stop - start
    if PyBytes_GET_SIZE(last_reason) != size or memcmp(PyBytes_AS_STRING(last_reason), data + start, size):
        last_reason = _cut(data, start, stop)
    return last_reason
