"""Clients as numbers: the same in C as by the library."""

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.hashing import Hash, PlainHash


@given(salt=st.binary(max_size=64), key=st.binary(max_size=400))
def test_whoever_hashes_a_client_gets_the_same_number(salt: bytes, key: bytes) -> None:
    """In plain Python this compares the library with itself."""
    assert Hash(salt).of(key) == PlainHash(salt).of(key)


def test_the_number_is_the_digest_read_from_its_first_byte_on() -> None:
    """Frozen: other instances and tools must agree. The digest is Python's own, of `blake2b(b"ann", key=b"shop")`."""
    assert Hash(b"shop").of(b"ann") == 8688143457572448642
