"""One connection: a head piece by piece, and everything passed on afterwards."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from canaryproxy.admin.control_connection import ControlConnection


class Remembering:
    """Where it visits, and the protocol that it gets: both remember what they hear."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def paused(self, connection: ControlConnection) -> None:
        self.heard.append(("paused", connection.complete))

    def resumed(self, connection: ControlConnection) -> None:
        self.heard.append(("resumed", connection.complete))

    def lost(self, connection: ControlConnection) -> None:
        self.heard.append(("lost", connection.complete))


class Inner(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.heard.append(transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def eof_received(self) -> None:
        self.heard.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(exc)


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.unsent = 0

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


@contextlib.contextmanager
def visiting() -> Iterator[tuple[Remembering, ControlConnection, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    host = Remembering()
    with ours, theirs:
        yield host, ControlConnection(host, ours), theirs


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100])
def test_a_head_is_complete_with_its_empty_line_however_it_is_cut(size: int) -> None:
    whole = b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with visiting() as (_, connection, theirs):
        for start in range(0, len(whole), size):
            assert not connection.complete
            theirs.sendall(whole[start : start + size])
            assert connection.read(1000)
        assert connection.complete
        assert connection.buffered_bytes == len(whole.lstrip())


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"\r\n" * 9, b"GET / HTTP/1.1\r\nA: b\r\n"])
def test_empty_lines_and_half_a_head_are_none(sent: bytes) -> None:
    with visiting() as (_, connection, theirs):
        theirs.sendall(sent)
        assert connection.read(1000)
        assert not connection.complete


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\r\nA: b\n", b"\r\n\x16\x03\x01"])
def test_what_the_parser_refuses_in_any_case_is_not_waited_for(sent: bytes) -> None:
    with visiting() as (_, connection, theirs):
        theirs.sendall(sent)
        assert connection.read(1000)
        assert connection.complete


def test_what_has_ended_or_says_nothing_is_distinguished() -> None:
    with visiting() as (_, connection, theirs):
        with pytest.raises(BlockingIOError):
            connection.read(10)
        theirs.close()
        assert not connection.read(10)


def test_last_words_arrive_where_there_is_no_protocol_yet() -> None:
    with visiting() as (_, connection, theirs):
        connection.abort(b"no room")
        assert (theirs.recv(100), theirs.recv(100)) == (b"no room", b"")


def test_the_protocol_gets_what_was_read_before_and_hears_everything_after() -> None:
    with visiting() as (host, connection, theirs):
        theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
        connection.read(1000)
        inner, wire = Inner(), Wire()
        connection.enter(inner)
        connection.connection_made(wire)
        connection.data_received(b"more")
        connection.pause_writing()
        connection.resume_writing()
        assert connection.eof_received() is None
        connection.connection_lost(None)
        assert inner.heard == [wire, b"GET / HTTP/1.1\r\n\r\n", b"more", "pause", "resume", "eof", None]
        assert host.heard == [("paused", True), ("resumed", True), ("lost", True)]
        connection.abort(b"")
        assert wire.aborted


def test_what_was_aborted_while_it_was_let_in_does_not_live_on() -> None:
    with visiting() as (_, connection, _theirs):
        inner, wire = Inner(), Wire()
        connection.enter(inner)
        connection.abort(b"words for no one yet")
        connection.connection_made(wire)
        assert wire.aborted
        assert inner.heard == [wire]


def test_what_a_client_takes_counts_from_the_pause_and_from_each_look() -> None:
    with visiting() as (_, connection, _theirs):
        wire = Wire()
        connection.enter(Inner())
        connection.connection_made(wire)
        wire.unsent = 1000
        connection.pause_writing()
        wire.unsent = 800
        assert connection.consume(200)
        wire.unsent = 799
        assert not connection.consume(200)
