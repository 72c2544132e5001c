"""Who is taken from a listening socket and who is refused there: compiled and in plain Python."""

import socket
import time
from collections.abc import Iterator

import pytest

from canaryproxy.admin import receive_window
from canaryproxy.admin.newcomers import take


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has sent nothing yet has waited long enough."""
    monkeypatch.setattr(receive_window, "WAITED", 0.0)


def knock(listening: socket.socket, said: bytes = b"", address: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(listening.getsockname()[:2], source_address=(address, 0))
    made.sendall(said)
    return made


def everyone(_: str) -> bool:
    return True


def test_they_are_connected_do_not_block_and_come_in_their_order(listening: socket.socket) -> None:
    clients = [knock(listening, b"%d" % number, f"127.0.0.{number + 1}") for number in range(3)]
    found, refused = take(listening, 8, None)
    assert refused == 0
    assert [address for _, address in found] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    for number, (made, _) in enumerate(found):
        assert not made.getblocking()
        assert not made.get_inheritable()
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert made.getpeername() == clients[number].getsockname()
        assert made.recv(1) == b"%d" % number
        made.close()
    for one in clients:
        one.close()
    assert take(listening, 8, None) == ([], 0)


def test_no_more_than_asked_for_are_taken(listening: socket.socket) -> None:
    clients = [knock(listening) for _ in range(3)]
    found, _ = take(listening, 2, None)
    rest, _ = take(listening, 2, None)
    assert (len(found), len(rest)) == (2, 1)
    for one in [*clients, *(made for made, _ in [*found, *rest])]:
        one.close()


@pytest.mark.usefixtures("_at_once")
def test_of_a_refusable_address_the_silent_are_refused_and_those_who_speak_are_taken(listening: socket.socket) -> None:
    asked: list[str] = []

    def flood(address: str) -> bool:
        asked.append(address)
        return address == "127.0.0.1"

    silent, speaks, honest = knock(listening), knock(listening, b"G"), knock(listening, address="127.0.0.9")
    found, refused = take(listening, 8, flood)
    assert asked == ["127.0.0.1", "127.0.0.1", "127.0.0.9"]
    assert refused == 1
    assert [made.getpeername() for made, _ in found] == [speaks.getsockname(), honest.getsockname()]
    silent.settimeout(10)
    assert silent.recv(1) == b""
    for one in [silent, speaks, honest, *(made for made, _ in found)]:
        one.close()


def test_one_that_has_only_just_connected_is_not_silent_yet(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_window, "WAITED", 3600.0)
    client = knock(listening)
    found, refused = take(listening, 8, everyone)
    assert (len(found), refused) == (1, 0)
    found[0][0].close()
    client.close()


@pytest.mark.usefixtures("_at_once")
def test_one_that_is_gone_already_is_refused(listening: socket.socket) -> None:
    knock(listening).close()
    until = time.monotonic() + 30
    refused = 0
    while not refused and time.monotonic() < until:
        _, refused = take(listening, 8, everyone)
    assert refused == 1


def test_ipv6_and_unix_sockets(tmp_path_factory: pytest.TempPathFactory) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        six.setblocking(False)
        client = socket.create_connection(six.getsockname()[:2])
        found, _ = take(six, 8, None)
        assert [(made.family, address) for made, address in found] == [(socket.AF_INET6, "::1")]
        found[0][0].close()
        client.close()
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as local, socket.socket(socket.AF_UNIX) as caller:
        local.bind(path)
        local.listen()
        local.setblocking(False)
        caller.connect(path)
        found, _ = take(local, 8, None)
        assert [(made.family, address) for made, address in found] == [(socket.AF_UNIX, "")]
        found[0][0].close()


def test_a_socket_that_does_not_listen_is_an_error() -> None:
    with socket.socket() as deaf, pytest.raises(OSError, match="Invalid argument"):
        take(deaf, 8, None)
