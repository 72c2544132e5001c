"""BLAKE2b in C: what the library says, to the last bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.hashing import Hash, PlainHash

LENGTHS = (0, 1, 16, 127, 128, 129, 255, 256, 257, 1000)
"""Around the ends of blocks, which have 128 bytes."""


@given(salt=st.binary(max_size=64), key=st.binary(max_size=400))
def test_whoever_hashes_a_client_gets_the_same_number(salt: bytes, key: bytes) -> None:
    """In plain Python this compares the library with itself."""
    assert Hash(salt).of(key) == PlainHash(salt).of(key)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("salt", [b"", b"shop", b"s" * 64])
def test_blocks_end_where_they_end(salt: bytes, length: int) -> None:
    key = bytes(number % 251 for number in range(length))
    assert Hash(salt).of(key) == PlainHash(salt).of(key)


def test_a_longer_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Hash(b"s" * 65)
