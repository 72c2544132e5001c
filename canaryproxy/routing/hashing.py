"""Clients as numbers, which their buckets are taken from. `Hash` is the compiled twin (`blake`) where that is there."""

from hashlib import blake2b

__all__ = ["Hash", "PlainHash"]


class PlainHash:
    """BLAKE2b (RFC 7693) of 8 bytes under one salt of 64 bytes at most, read as a big-endian integer."""

    __slots__ = ("_seeded",)

    def __init__(self, salt: bytes) -> None:
        self._seeded = blake2b(key=salt, digest_size=8)

    def of(self, key: bytes) -> int:
        """A client as a number of 64 bits. It tells users apart without saying who they are."""
        seeded = self._seeded.copy()
        seeded.update(key)
        return int.from_bytes(seeded.digest(), "big")


try:
    from canaryproxy.routing.blake import Hash
except ImportError:
    Hash = PlainHash  # type: ignore[assignment, misc]
