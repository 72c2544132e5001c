"""One upstream connection, without a network; the rest is tested through exchanges."""

import pytest

from canaryproxy.dataplane.upstream_h1 import UpstreamConnection
from canaryproxy.dataplane.upstream_stream import ResponseHandler
from canaryproxy.model.head import Body, RequestHead
from tests.dataplane.test_pool import opened


def test_bytes_no_one_asked_for_end_an_idle_connection() -> None:
    upstream, wire = opened()
    upstream.data_received(b"HTTP/1.1 200 OK\r\n")
    assert wire.aborted
    assert not upstream.alive


def test_an_end_while_idle_makes_it_unusable() -> None:
    upstream, _ = opened()
    assert upstream.clean()
    upstream.eof_received()
    assert not upstream.clean()


def test_a_connection_that_still_holds_request_bytes_is_not_clean() -> None:
    upstream, _ = opened()
    upstream.pause_writing()
    assert not upstream.clean()
    upstream.resume_writing()
    assert upstream.clean()


def test_one_that_never_opened_can_be_aborted() -> None:
    UpstreamConnection().abort()


def test_one_that_goes_on_as_a_tunnel_holds_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel hears that it took what is queued, and counts that for itself."""
    upstream, wire = opened()
    monkeypatch.setattr(wire, "get_write_buffer_size", lambda: 40_000)
    upstream.pause_writing()
    assert upstream.buffers.held == 40_000
    assert upstream.leave() == b""
    assert upstream.buffers.held == 0


class Taking:
    """A transport that keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.paused = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def set_write_buffer_limits(self, _: int) -> None:
        """Accepted."""

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.writes))

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def taking() -> tuple[UpstreamConnection, Taking]:
    upstream, wire = UpstreamConnection(), Taking()
    upstream.connection_made(wire)  # type: ignore[arg-type]
    return upstream, wire


def asked(
    body: Body, pieces: list[bytes] | None, trailers: tuple[bytes, ...] | None, length: int = -1
) -> tuple[UpstreamConnection, Taking, bytes]:
    """A connection over which a request was sent, and its write behind the head."""
    upstream, wire = taking()
    head = RequestHead(b"PUT", b"/a")
    head.body, head.length = body, length
    lines = (b"shop.test", b"X-A: 1\r\n", b"Via: 1.1 p\r\n", b"X-Last: 1\r\n")
    upstream.ask(ResponseHandler(), head, lines, pieces, trailers)
    (sent,) = wire.writes
    first, _, rest = sent.partition(b"\r\n\r\n")
    assert first.startswith(b"PUT /a HTTP/1.1\r\nHost: shop.test\r\nX-A: 1\r\nVia: 1.1 p\r\n")
    assert first.endswith(b"\r\nX-Last: 1")
    return upstream, wire, rest


def test_a_request_leaves_in_one_write_with_what_there_is_of_its_body() -> None:
    assert asked(Body.NONE, None, None)[2] == b""
    assert asked(Body.LENGTH, [b"one", b"two"], (), 6)[2] == b"onetwo"
    assert asked(Body.LENGTH, [b"one"], None, 6)[2] == b"one"


def test_payload_is_framed_when_it_is_sent() -> None:
    assert asked(Body.STREAM, [b"one", b"three"], None)[2] == b"3\r\none\r\n5\r\nthree\r\n"
    assert asked(Body.STREAM, [b"one"], ())[2] == b"3\r\none\r\n0\r\n\r\n"
    assert asked(Body.STREAM, None, (b"X-Sum: 0",))[2] == b"0\r\nX-Sum: 0\r\n\r\n"


def test_an_empty_piece_is_not_the_last_chunk() -> None:
    upstream, wire, _ = asked(Body.STREAM, None, None)
    for piece in (b"", b"one", b""):
        upstream.data(piece)
    upstream.end(())
    assert wire.writes[1:] == [b"3\r\none\r\n", b"0\r\n\r\n"]


def test_the_end_of_a_body_with_a_length_needs_no_bytes() -> None:
    upstream, wire, _ = asked(Body.LENGTH, None, None, 3)
    upstream.data(b"one")
    upstream.end(())
    assert wire.writes[1:] == [b"one"]


def test_reading_stops_and_goes_on_as_asked() -> None:
    upstream, wire = taking()
    upstream.pause()
    assert wire.paused
    upstream.resume()
    assert not wire.paused
    assert (upstream.queued(), upstream.surplus()) == (0, 0)
