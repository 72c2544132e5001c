"""Lengths as numbers; the rest of framing is tested through the readers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.h1.framing import content_length
from canaryproxy.model.failure import Failure, RequestRejectedError


@given(st.integers(0, 2**63 - 1))
def test_any_length_within_63_bits_is_read(length: int) -> None:
    assert content_length(b"%d" % length, Failure.BAD_REQUEST) == length


@given(st.binary().filter(lambda value: not value.isdigit()))
def test_anything_but_digits_is_refused(value: bytes) -> None:
    with pytest.raises(RequestRejectedError):
        content_length(value, Failure.BAD_REQUEST)
