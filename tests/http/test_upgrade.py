"""Which upgrades pass. H64."""

import pytest

from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.http.upgrade import accepted_protocol, requested_protocols
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.settings import Limits

ALLOWED = [b"websocket", b"spdy/3.1", b"tcp"]


def request(line: bytes, *fields: bytes) -> RequestHead:
    reader = RequestParser(Limits())
    reader.feed(b"\r\n".join((line, b"Host: a", *fields)) + b"\r\n\r\n")
    head = reader.next()
    assert isinstance(head, RequestHead)
    return head


def response(*fields: bytes) -> ResponseHead:
    reader = ResponseParser()
    reader.expect(b"GET")
    reader.feed(b"\r\n".join((b"HTTP/1.1 101 Switching", *fields)) + b"\r\n\r\n")
    head = reader.next()
    assert isinstance(head, ResponseHead)
    return head


GET = b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "fields", "protocol"),
    [
        (GET, [b"Connection: Upgrade", b"Upgrade: websocket"], b"websocket"),
        (GET, [b"Connection: keep-alive, UPGRADE", b"Upgrade: WebSocket"], b"WebSocket"),
        (GET, [b"Connection: upgrade", b"Upgrade: h2c, websocket"], b"websocket"),
        (GET, [b"Connection: upgrade", b"Upgrade: h2c", b"Upgrade: websocket"], b"websocket"),
        (GET, [b"Connection: upgrade", b"Upgrade: h2c"], b""),
        (GET, [b"Upgrade: websocket"], b""),
        (GET, [b"Connection: upgrade"], b""),
        (GET, [b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 0"], b"websocket"),
        (GET, [b"Connection: upgrade", b"Upgrade: tcp", b"Content-Length: 1"], b"tcp"),
        (GET, [b"Connection: upgrade", b"Upgrade: tcp", b"Transfer-Encoding: chunked"], b"tcp"),
        (b"POST / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: websocket"], b"websocket"),
        (b"POST / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: SPDY/3.1"], b"SPDY/3.1"),
        (b"BREW / HTTP/1.1", [b"Connection: upgrade", b"Upgrade: SPDY/3"], b""),
        (
            b"PUT / HTTP/1.1",
            [b"Connection: upgrade", b"Upgrade: spdy/3.1, h2c, tcp", b"Upgrade: TCP/7"],
            b"spdy/3.1, tcp, TCP/7",
        ),
        (GET, [b"Connection: upgrade", b"Upgrade: tcp/, /tcp, tcp/a/b, t cp"], b""),
        (b"GET / HTTP/1.0", [b"Connection: upgrade", b"Upgrade: websocket"], b""),
    ],
)
def test_a_handshake_names_allowed_protocols_whatever_its_method(
    line: bytes, fields: list[bytes], protocol: bytes
) -> None:
    assert requested_protocols(request(line, *fields), ALLOWED) == protocol


@pytest.mark.parametrize(
    ("fields", "protocol", "fits"),
    [
        ([b"Connection: Upgrade", b"Upgrade: WebSocket"], b"websocket", True),
        ([b"Connection: Upgrade", b"Upgrade: websocket"], b"", False),
        ([b"Connection: Upgrade", b"Upgrade: h2c"], b"websocket", False),
        ([b"Upgrade: websocket"], b"websocket", False),
        ([b"Connection: Upgrade"], b"websocket", False),
        ([b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c"], b"websocket", False),
        ([b"Connection: Upgrade", b"Upgrade: SPDY/3.1"], b"tcp, spdy/3.1", True),
        ([b"Connection: Upgrade", b"Upgrade: tcp, SPDY/3.1"], b"spdy/3.1, tcp", True),
        ([b"Connection: Upgrade", b"Upgrade: spdy"], b"spdy/3.1", False),
        ([b"Connection: Upgrade", b"Upgrade: "], b"spdy/3.1", False),
    ],
)
def test_a_switch_is_to_just_what_was_asked_for(fields: list[bytes], protocol: bytes, fits: bool) -> None:
    assert accepted_protocol(response(*fields), protocol) is fits
