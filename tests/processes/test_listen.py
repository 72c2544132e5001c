"""Listening sockets."""

import errno
import socket

import pytest

from canaryproxy.processes.listen import ListenError, display, listen_on, listening_text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_socket_listens_without_blocking(host: str) -> None:
    with listen_on(host, 0) as sock:
        assert not sock.getblocking()
        socket.create_connection(sock.getsockname()[:2]).close()


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen_on("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: another process listens there$"):
            listen_on("127.0.0.1", port)


def test_an_address_of_another_machine_is_said_in_one_line() -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        listen_on("192.0.2.1", 0)


def test_a_reason_without_a_sentence_of_ours_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOBUFS, "none")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    with pytest.raises(ListenError, match="No buffer space"):
        listen_on("127.0.0.1", 0)


def test_addresses_are_shown_as_in_a_url() -> None:
    assert (display(("::1", 80)), display(("127.0.0.1", 80))) == ("[::1]:80", "127.0.0.1:80")


def test_without_a_host_both_families_come_in() -> None:
    with listen_on("", 0) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()
            sock.accept()[0].close()
        with pytest.raises(ListenError, match=f"^cannot listen on :{port}: another process listens there$"):
            listen_on("", port)


def test_every_ipv6_address_takes_no_ipv4_so_both_may_stand_side_by_side() -> None:
    with listen_on("::", 0) as six:
        port = six.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with listen_on("0.0.0.0", port) as four:
            assert four.getsockname()[1] == port


class NoIpv6(socket.socket):
    """A system without IPv6 (`ipv6.disable=1`)."""

    def __init__(self, family: int = -1, *more: int, **named: object) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *more, **named)  # type: ignore[arg-type]


def test_where_the_system_has_no_ipv6_ipv4_alone_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoIpv6)
    with listen_on("", 0) as sock:
        assert sock.family == socket.AF_INET
        assert listening_text(("", 0), sock.getsockname()).startswith("0.0.0.0:")
    for host in ("::", "::1"):
        with pytest.raises(ListenError, match="this machine has no IPv6"):
            listen_on(host, 0)


def test_the_families_are_said_where_they_are_not_plain_to_see() -> None:
    assert listening_text(("", 80), ("::", 80)) == "[::]:80 (IPv4 and IPv6)"
    assert listening_text(("::", 80), ("::", 80)) == "[::]:80 (IPv6)"
    assert listening_text(("::1", 80), ("::1", 80)) == "[::1]:80"
    assert listening_text(("0.0.0.0", 80), ("0.0.0.0", 80)) == "0.0.0.0:80"
