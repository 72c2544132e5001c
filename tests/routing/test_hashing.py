"""Clients as numbers that never change."""

from canaryproxy.routing.hashing import Hash, PlainHash


def test_the_number_is_the_digest_read_from_its_first_byte_on() -> None:
    """Frozen: other instances and tools must agree. The digest is Python's own, of `blake2b(b"ann", key=b"shop")`."""
    assert Hash(b"shop").of(b"ann") == PlainHash(b"shop").of(b"ann") == 8688143457572448642
