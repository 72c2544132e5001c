"""Where a client's hello ends. Real hellos are the ssl module's."""

import contextlib
import ssl

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.dataplane.client_hello import MAX_HELLO_BYTES, bytes_needed


def hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="shop.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = hello()


def records(data: bytes, sizes: list[int]) -> bytes:
    """The message in records of these sizes, over and over."""
    message, made, number = data[5:], b"", 0
    while message:
        size = sizes[number % len(sizes)]
        piece, message, number = message[:size], message[size:], number + 1
        made += b"\x16\x03\x01" + len(piece).to_bytes(2) + piece
    return made


def test_a_hello_is_awaited_to_its_end_and_no_further() -> None:
    for length in range(len(HELLO)):
        assert length < bytes_needed(HELLO[:length]) <= len(HELLO)
    assert bytes_needed(HELLO) == 0
    assert bytes_needed(HELLO + b"more") == 0


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.data())
def test_one_in_many_records_too(sizes: list[int], data: st.DataObject) -> None:
    whole = records(HELLO, sizes)
    length = data.draw(st.integers(0, len(whole) - 1))
    assert length < bytes_needed(whole[:length]) <= len(whole)
    assert bytes_needed(whole) == 0


@given(st.binary(max_size=200))
def test_what_is_no_hello_is_not_waited_for_for_ever(data: bytes) -> None:
    wanted = bytes_needed(data)
    assert wanted == 0 or len(data) < wanted <= MAX_HELLO_BYTES + 2**14 + 300


def test_garbage_is_handed_to_the_library_at_once() -> None:
    for data in (
        b"GET / HTTP/1.1",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05\x02",
        b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(2**14),
    ):
        assert bytes_needed(data) == 0
