"""Listening sockets."""

import errno
import socket

import pytest

from canaryproxy.control.listen import CannotListen, display, listen_on


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_socket_listens_without_blocking(host: str) -> None:
    with listen_on(host, 0) as sock:
        assert not sock.getblocking()
        socket.create_connection(sock.getsockname()[:2]).close()


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen_on("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(CannotListen, match=f"^cannot listen on 127.0.0.1:{port}: another process listens there$"):
            listen_on("127.0.0.1", port)


def test_an_address_of_another_machine_is_said_in_one_line() -> None:
    with pytest.raises(CannotListen, match="this machine has no such address"):
        listen_on("192.0.2.1", 0)


def test_a_reason_without_a_sentence_of_ours_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOBUFS, "none")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    with pytest.raises(CannotListen, match="No buffer space"):
        listen_on("127.0.0.1", 0)


def test_addresses_are_shown_as_in_a_url() -> None:
    assert (display(("::1", 80)), display(("127.0.0.1", 80))) == ("[::1]:80", "127.0.0.1:80")
