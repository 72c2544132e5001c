"""Responses out, without a network: what an exchange hands on, and the writes that become of it."""

import pytest

from canaryproxy.dataplane.client_h1 import ClientConnection
from canaryproxy.dataplane.client_stream import ClientPhase
from canaryproxy.dataplane.exchange import Exchange
from canaryproxy.dataplane.exchange_state import FINAL, NOTHING
from canaryproxy.dataplane.response_writer import JOIN_LIMIT
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import Body, ResponseHead
from tests.support.streams import Stage, stage


class Wire:
    """A transport that keeps each write and how it was ended."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.ends: list[str] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self.writes.append(b"|".join(pieces))

    def get_extra_info(self, name: str) -> object:
        return ("192.0.2.1", 1) if name == "peername" else self

    def setsockopt(self, *_: object) -> None:
        """The connection is to be reset when it is closed."""

    def set_write_buffer_limits(self, _: int) -> None:
        """Accepted."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return bool(self.ends)

    def write_eof(self) -> None:
        self.ends.append("eof")

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")


def asked(s: Stage, fields: bytes = b"", line: bytes = b"GET / HTTP/1.1") -> tuple[ClientConnection, Wire, Exchange]:
    """A client's connection with a request under way."""
    down, wire = ClientConnection(s.plane, "192.0.2.1"), Wire()
    down.connection_made(wire)  # type: ignore[arg-type]
    down.data_received(line + b"\r\nHost: shop.test\r\n" + fields + b"\r\n")
    assert down.exchange is not None
    return down, wire, down.exchange


def head(status: int = 200, body: Body = Body.LENGTH, length: int = -1) -> ResponseHead:
    made = ResponseHead(status, b"OK")
    made.body, made.length = body, length
    return made


def test_a_whole_response_is_one_write_and_the_next_request_may_come() -> None:
    with stage() as s:
        down, wire, exchange = asked(s)
        exchange.response_whole(head(length=2), b"ok")
        (sent,) = wire.writes
        assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
        assert sent.endswith(b"\r\n\r\nok")
        assert (down.phase, down.delivered, wire.ends) == (ClientPhase.IDLE, FINAL, [])
        down.data_received(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert (down.phase, down.delivered) == (ClientPhase.EXCHANGE, NOTHING)


def test_a_large_body_is_not_copied_to_be_joined() -> None:
    with stage() as s:
        _, wire, exchange = asked(s)
        body = b"x" * (JOIN_LIMIT + 1)
        exchange.response_whole(head(length=len(body)), body)
        (sent,) = wire.writes
        assert sent.endswith(b"\r\n\r\n|" + body)


def test_an_empty_piece_is_not_the_last_chunk() -> None:
    with stage() as s:
        _, wire, exchange = asked(s)
        exchange.response_head(head(body=Body.STREAM))
        for piece in (b"", b"one", b"", b"two", b""):
            exchange.response_data(piece)
        exchange.flush()
        exchange.response_data(b"")
        exchange.flush()
        exchange.response_end(())
        assert wire.writes[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n")
        assert wire.writes[1:] == [b"0\r\n\r\n"]


def test_a_head_is_held_back_until_what_came_with_it_is_read() -> None:
    with stage() as s:
        down, wire, exchange = asked(s)
        exchange.response_head(head(length=5))
        assert (wire.writes, down.delivered) == ([], NOTHING)
        exchange.upstream_failed(Failure.RESPONSE_INVALID, "it broke")
        (sent,) = wire.writes
        assert sent.startswith(b"HTTP/1.1 502 ")


def test_without_a_length_http_1_0_gets_the_end_of_the_connection() -> None:
    with stage() as s:
        _, wire, exchange = asked(s, b"Connection: keep-alive\r\n", b"GET / HTTP/1.0")
        exchange.response_head(head(body=Body.STREAM))
        exchange.response_data(b"one")
        exchange.flush()
        exchange.response_end(())
        assert wire.writes[0].endswith(b"\r\n\r\none")
        assert wire.ends == ["eof"]


@pytest.mark.parametrize(
    ("line", "body", "ends"),
    [
        (b"GET / HTTP/1.1", Body.LENGTH, ["close"]),
        (b"GET / HTTP/1.1", Body.STREAM, ["close"]),
        (b"GET / HTTP/1.0", Body.UNTIL_CLOSE, ["abort"]),
    ],
)
def test_a_response_that_breaks_off_ends_so_that_the_client_notices(line: bytes, body: Body, ends: list[str]) -> None:
    with stage() as s:
        _, wire, exchange = asked(s, line=line)
        exchange.response_head(head(body=body, length=9 if body is Body.LENGTH else -1))
        exchange.response_data(b"one")
        exchange.flush()
        exchange.upstream_failed(Failure.RESPONSE_CUT, "it broke")
        assert len(wire.writes) == 1
        assert wire.ends == ends


def test_http_1_0_gets_no_interim_response() -> None:
    for line, seen in ((b"GET / HTTP/1.0", 0), (b"GET / HTTP/1.1", 1)):
        with stage() as s:
            _, wire, exchange = asked(s, line=line)
            assert not exchange.response_head(head(103, Body.NONE))
            assert len(wire.writes) == seen


def test_a_response_needs_a_request() -> None:
    with stage() as s:
        down, _, exchange = asked(s)
        exchange.response_whole(head(length=0), b"")
        with pytest.raises(RuntimeError):
            down.whole(head(length=0), b"", b"")
        with pytest.raises(RuntimeError):
            down.interim(head(103, Body.NONE))
