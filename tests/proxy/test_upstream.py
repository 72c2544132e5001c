"""One upstream connection, without a network; the rest is tested through exchanges."""

import pytest

from canaryproxy.proxy.upstream import Upstream
from tests.proxy.test_pool import opened


def test_bytes_nobody_asked_for_end_an_idle_connection() -> None:
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
    Upstream().abort()


def test_one_that_goes_on_as_a_tunnel_holds_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel hears that it took what is queued, and counts that for itself."""
    upstream, wire = opened()
    monkeypatch.setattr(wire, "get_write_buffer_size", lambda: 40_000)
    upstream.pause_writing()
    assert upstream.buffers.held == 40_000
    assert upstream.leave() == b""
    assert upstream.buffers.held == 0
