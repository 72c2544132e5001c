"""Hashes client keys to numbers. The reference of hashing.pyx, which runs when compiled."""

from hashlib import blake2b


class Hash:
    """BLAKE2b (RFC 7693) of 8 bytes under one salt of 64 bytes at most, read as a big-endian integer."""

    __slots__ = ("_seeded",)

    def __init__(self, salt: bytes) -> None:
        self._seeded = blake2b(key=salt, digest_size=8)

    def of(self, key: bytes) -> int:
        """The 64-bit number of a client, which does not reveal the key."""
        seeded = self._seeded.copy()
        seeded.update(key)
        return int.from_bytes(seeded.digest(), "big")
