"""The PROXY protocol: a load balancer's header about the client, before the first byte of TLS or HTTP.

Versions 1 (text) and 2 (binary) of HAProxy's proxy-protocol.txt. Sans-I/O: `header_bytes_needed` returns how many bytes
can be read without reading beyond the header, `parse` parses them. Strict: ambiguous headers are rejected.
"""

import ipaddress
from dataclasses import dataclass

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_BYTES = len(V2_SIGNATURE) + 4
MAX_V1_BYTES = 107
MAX_V2_BYTES = 4096
MIN_V1_BYTES = len(b"PROXY UNKNOWN\r\n")

LOCAL, PROXY = 0x20, 0x21
# TCP over IPv4 and IPv6: bytes of an address.
STREAMS = {0x11: 4, 0x21: 16}

# Families without a usable address, unspecified and UNIX sockets, and their minimum length in bytes.
NO_ADDRESS = {0x00: 0, 0x31: 216}

PORTS = 4


class ProxyHeaderError(ValueError):
    """The bytes are not a valid PROXY header; the message says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The client's address and port; None and 0 for the load balancer itself and for clients without a TCP address."""

    address: str | None = None
    port: int = 0


def header_bytes_needed(data: bytes) -> int:
    """How many more bytes are certainly part of the header that begins with `data`: never any bytes behind it."""
    if data[:1] == V2_SIGNATURE[:1]:
        if len(data) < V2_FIXED_BYTES:
            return V2_FIXED_BYTES - len(data)
        return V2_FIXED_BYTES + _length(data) - len(data)
    if len(data) < MIN_V1_BYTES - 2:
        return MIN_V1_BYTES - len(data) if data else 1
    return 1 if data.endswith(b"\r") else 2


def parse(data: bytes) -> ProxyHeader | None:
    """The header, or None while it is incomplete. Raises `ProxyHeaderError` as soon as it is invalid."""
    if not data:
        return None
    return _binary(data) if data[:1] == V2_SIGNATURE[:1] else _text(data)


def _text(data: bytes) -> ProxyHeader | None:
    if not (data.startswith(b"PROXY ") or b"PROXY ".startswith(data)):
        raise ProxyHeaderError("it does not begin like a header")
    line, end, rest = data.partition(b"\r\n")
    if rest or b"\n" in line or b"\0" in line or b"\r" in line[:-1]:
        raise ProxyHeaderError("the line does not end in CRLF")
    if len(line) + 2 > MAX_V1_BYTES:
        raise ProxyHeaderError("the line is too long")
    return _line(line) if end else None


def _line(line: bytes) -> ProxyHeader:
    family, _, rest = line[len(b"PROXY ") :].partition(b" ")
    if family == b"UNKNOWN":
        return ProxyHeader()
    parts = rest.split(b" ")
    kinds = {b"TCP4": ipaddress.IPv4Address, b"TCP6": ipaddress.IPv6Address}
    if family not in kinds or len(parts) != PORTS:
        raise ProxyHeaderError("it names no known family, or not two addresses and two ports")
    try:
        addresses = [kinds[family](part.decode("ascii")) for part in parts[:2]]
    except (ValueError, UnicodeDecodeError):
        raise ProxyHeaderError("an address is not one of its family") from None
    ports = [_port(part) for part in parts[2:]]
    return ProxyHeader(str(addresses[0]), ports[0])


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > len("65535") or (text[:1] == b"0" and text != b"0") or int(text) > 0xFFFF:
        raise ProxyHeaderError("a port is not a number from 0 to 65535")
    return int(text)


def _length(data: bytes) -> int:
    return int.from_bytes(data[V2_FIXED_BYTES - 2 : V2_FIXED_BYTES], "big")


def _binary(data: bytes) -> ProxyHeader | None:
    if not (data.startswith(V2_SIGNATURE) or V2_SIGNATURE.startswith(data)):
        raise ProxyHeaderError("the signature is not that of version 2")
    if len(data) < V2_FIXED_BYTES:
        return None
    command, family, length = data[len(V2_SIGNATURE)], data[len(V2_SIGNATURE) + 1], _length(data)
    if command not in (LOCAL, PROXY):
        raise ProxyHeaderError("the version is not 2, or the command is unknown")
    if V2_FIXED_BYTES + length > MAX_V2_BYTES:
        raise ProxyHeaderError("it is too long")
    size = STREAMS.get(family)
    least = 0 if command == LOCAL else NO_ADDRESS.get(family, 0) if size is None else 2 * size + PORTS
    if command == PROXY and size is None and family not in NO_ADDRESS:
        raise ProxyHeaderError("the protocol is neither TCP nor unspecified")
    if length < least:
        raise ProxyHeaderError("it is too short for its addresses")
    if len(data) < V2_FIXED_BYTES + length:
        return None
    if command == LOCAL or size is None:
        return ProxyHeader()
    ports = V2_FIXED_BYTES + 2 * size
    return ProxyHeader(
        str(ipaddress.ip_address(data[V2_FIXED_BYTES : V2_FIXED_BYTES + size])),
        int.from_bytes(data[ports : ports + 2], "big"),
    )
