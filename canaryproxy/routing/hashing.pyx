"""Keyed BLAKE2b with a digest of 8 bytes (RFC 7693), as a number. The compiled twin of hashing.py.

The salt is a block of its own, which is digested once. Copying, updating and finishing hashlib's object for each
request would take four times as long as the remaining block.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 128
    ROUNDS = 12
    DIGEST = 8
    LONGEST_KEY = 64

cdef uint64_t[8] START = [
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
]

cdef uint8_t[12][16] ORDER = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
]


cdef inline uint64_t _turn(uint64_t word, int by) noexcept nogil:
    return (word >> by) | (word << (64 - by))


cdef inline uint64_t _word(const uint8_t *at) noexcept nogil:
    """Eight bytes as a little-endian number, on any machine."""
    return (
        <uint64_t> at[0] | <uint64_t> at[1] << 8 | <uint64_t> at[2] << 16 | <uint64_t> at[3] << 24
        | <uint64_t> at[4] << 32 | <uint64_t> at[5] << 40 | <uint64_t> at[6] << 48 | <uint64_t> at[7] << 56
    )


cdef inline void _mix(uint64_t *v, int a, int b, int c, int d, uint64_t x, uint64_t y) noexcept nogil:
    v[a] += v[b] + x
    v[d] = _turn(v[d] ^ v[a], 32)
    v[c] += v[d]
    v[b] = _turn(v[b] ^ v[c], 24)
    v[a] += v[b] + y
    v[d] = _turn(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = _turn(v[b] ^ v[c], 63)


cdef void _compress(uint64_t *state, const uint8_t *block, uint64_t count, bint last) noexcept nogil:
    """RFC 7693 3.2. `count` is how many bytes have been digested with this block."""
    cdef uint64_t m[16]
    cdef uint64_t v[16]
    cdef const uint8_t *order
    cdef int index
    for index in range(16):
        m[index] = _word(block + 8 * index)
    for index in range(8):
        v[index] = state[index]
        v[index + 8] = START[index]
    v[12] ^= count
    if last:
        v[14] = ~v[14]
    for index in range(ROUNDS):
        order = ORDER[index]
        _mix(v, 0, 4, 8, 12, m[order[0]], m[order[1]])
        _mix(v, 1, 5, 9, 13, m[order[2]], m[order[3]])
        _mix(v, 2, 6, 10, 14, m[order[4]], m[order[5]])
        _mix(v, 3, 7, 11, 15, m[order[6]], m[order[7]])
        _mix(v, 0, 5, 10, 15, m[order[8]], m[order[9]])
        _mix(v, 1, 6, 11, 12, m[order[10]], m[order[11]])
        _mix(v, 2, 7, 8, 13, m[order[12]], m[order[13]])
        _mix(v, 3, 4, 9, 14, m[order[14]], m[order[15]])
    for index in range(8):
        state[index] ^= v[index] ^ v[index + 8]


cdef class Hash:
    """See hashing.py."""

    def __init__(self, bytes salt):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(salt)
        if size > LONGEST_KEY:
            raise ValueError(f"a key of BLAKE2b has {LONGEST_KEY} bytes at most")
        memcpy(self._begun, START, sizeof(START))
        self._begun[0] ^= 0x01010000 ^ (<uint64_t> size << 8) ^ DIGEST
        memset(self._key_block, 0, BLOCK)
        memcpy(self._key_block, PyBytes_AS_STRING(salt), size)
        self._count = BLOCK if size else 0
        memcpy(self._keyed, self._begun, sizeof(self._begun))
        if size:
            _compress(self._keyed, self._key_block, BLOCK, False)

    cpdef uint64_t of(self, bytes key) except? 0:
        """See hashing.py."""
        cdef uint64_t state[8]
        cdef uint8_t block[BLOCK]
        cdef const uint8_t *data = <const uint8_t *> PyBytes_AS_STRING(key)
        cdef Py_ssize_t left = PyBytes_GET_SIZE(key)
        cdef uint64_t count = self._count, number = 0
        cdef int byte
        memcpy(state, self._keyed, sizeof(state))
        if count and not left:
            memcpy(state, self._begun, sizeof(state))
            _compress(state, self._key_block, count, True)
        while left > BLOCK:
            count += BLOCK
            _compress(state, data, count, False)
            data += BLOCK
            left -= BLOCK
        if left or not count:
            memset(block, 0, BLOCK)
            memcpy(block, data, left)
            _compress(state, block, count + left, True)
        for byte in range(DIGEST):
            number = (number << 8) | ((state[0] >> (8 * byte)) & 255)
        return number
