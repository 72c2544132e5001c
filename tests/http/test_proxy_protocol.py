"""PROXY protocol headers, read strictly and never beyond their end. H70."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.proxy_protocol import (
    V2_FIXED_BYTES,
    V2_SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    header_bytes_needed,
    parse,
)

FOUR = bytes((203, 0, 113, 9, 192, 0, 2, 1)) + b"\x12\x67\x01\xbb"
SIX = ipaddress.ip_address("2001:db8::9").packed + ipaddress.ip_address("2001:db8::1").packed + b"\x12\x67\x01\xbb"


def binary(command: int, family: int, body: bytes) -> bytes:
    return V2_SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body


def read(data: bytes) -> tuple[ProxyHeader, bytes]:
    """As the listener does: only as many bytes as are wanted. The header and what follows it."""
    taken = b""
    while (preamble := parse(taken)) is None:
        more = data[len(taken) : len(taken) + header_bytes_needed(taken)]
        if not more:
            raise EOFError
        taken += more
    return preamble, data[len(taken) :]


GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", ProxyHeader("203.0.113.9", 4711)),
    (b"PROXY TCP6 2001:DB8::9 ::1 65535 0\r\n", ProxyHeader("2001:db8::9", 65_535)),
    (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", ProxyHeader()),
    (binary(0x21, 0x11, FOUR), ProxyHeader("203.0.113.9", 4711)),
    (binary(0x21, 0x21, SIX), ProxyHeader("2001:db8::9", 4711)),
    (binary(0x21, 0x11, FOUR + b"\x04\x00\x01x"), ProxyHeader("203.0.113.9", 4711)),
    (binary(0x20, 0x00, b""), ProxyHeader()),
    (binary(0x20, 0x11, FOUR), ProxyHeader()),
    (binary(0x21, 0x00, b""), ProxyHeader()),
    (binary(0x21, 0x31, bytes(216)), ProxyHeader()),
]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
    b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
    b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.999 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1\x00 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1\r1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 \xff 2.2.2.2 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    V2_SIGNATURE[:-1] + b"X",
    binary(0x11, 0x11, FOUR),
    binary(0x22, 0x11, FOUR),
    binary(0x21, 0x12, FOUR),
    binary(0x21, 0x41, FOUR),
    binary(0x21, 0x11, FOUR[:-1]),
    binary(0x21, 0x21, FOUR),
    binary(0x21, 0x31, FOUR),
    binary(0x21, 0x11, bytes(5000)),
]


@pytest.mark.parametrize(("header", "preamble"), GOOD)
def test_a_header_says_who_the_client_is(header: bytes, preamble: ProxyHeader) -> None:
    assert parse(header) == preamble


@pytest.mark.parametrize("header", BAD)
def test_anything_else_is_malformed(header: bytes) -> None:
    with pytest.raises((ProxyHeaderError, EOFError)):
        read(header)


@given(st.sampled_from(GOOD), st.binary(max_size=50))
def test_what_follows_is_never_touched(case: tuple[bytes, ProxyHeader], rest: bytes) -> None:
    assert read(case[0] + rest) == (case[1], rest)


@given(st.sampled_from(GOOD), st.data())
def test_a_header_in_pieces_is_incomplete_until_its_last_byte(
    case: tuple[bytes, ProxyHeader], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(case[0]) - 1))
    assert parse(case[0][:cut]) is None
    assert 1 <= header_bytes_needed(case[0][:cut]) <= len(case[0]) - cut


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(lambda tail: V2_SIGNATURE + tail)))
def test_any_bytes_are_a_header_or_part_of_one_or_malformed(data: bytes) -> None:
    with contextlib.suppress(ProxyHeaderError):
        assert isinstance(parse(data), ProxyHeader | None)
    assert V2_FIXED_BYTES == 16
