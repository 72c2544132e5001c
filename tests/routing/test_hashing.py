"""Clients as numbers that never change: what either twin says, and that both say the same."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.reference import both, each

EACH = each("canaryproxy.routing.hashing")
plain, compiled = both("canaryproxy.routing.hashing")
LENGTHS = (0, 1, 16, 127, 128, 129, 255, 256, 257, 1000)
"""Around the ends of blocks, which have 128 bytes."""


@EACH
def test_the_number_is_the_digest_read_from_its_first_byte_on(twin: ModuleType) -> None:
    """Frozen: other instances and tools must agree. The digest is Python's own, of `blake2b(b"ann", key=b"shop")`."""
    assert twin.Hash(b"shop").of(b"ann") == 8688143457572448642


@EACH
def test_a_longer_salt_is_refused(twin: ModuleType) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        twin.Hash(b"s" * 65)


@pytest.mark.compiled
@given(salt=st.binary(max_size=64), key=st.binary(max_size=400))
def test_both_get_the_same_number(salt: bytes, key: bytes) -> None:
    assert compiled.Hash(salt).of(key) == plain.Hash(salt).of(key)


@pytest.mark.compiled
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("salt", [b"", b"shop", b"s" * 64])
def test_blocks_end_where_they_end(salt: bytes, length: int) -> None:
    key = bytes(number % 251 for number in range(length))
    assert compiled.Hash(salt).of(key) == plain.Hash(salt).of(key)
