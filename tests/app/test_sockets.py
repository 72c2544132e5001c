"""What an instance listens on, opened all or none."""

import socket
from pathlib import Path

import pytest

from canaryproxy.app.instance import open_sockets, probe_socket_path
from canaryproxy.config import Config, parse
from canaryproxy.processes.listen import ListenError


def config(server: str) -> Config:
    return parse(f"server: {{{server}}}\nstable: http://a\ncanary: http://b\n", "a.yaml", {})


def test_what_the_config_wants_is_opened(tmp_path: Path) -> None:
    wanted = f"listen: '127.0.0.1:0', admin: {{listen: '127.0.0.1:0'}}, probes: {{socket: {tmp_path}/a.sock}}"
    aside, sockets = open_sockets(config(wanted))
    assert [sock.family for sock in sockets] == [socket.AF_INET]
    assert aside.admin is not None
    assert aside.probes is None
    assert aside.local is not None
    aside.close()
    assert not (tmp_path / "a.sock").exists()
    sockets[0].close()
    aside, sockets = open_sockets(config("listen: '127.0.0.1:0', admin: off, probes: {listen: '127.0.0.1:0'}"))
    assert (aside.admin, aside.local) == (None, None)
    assert aside.probes is not None
    aside.close()
    sockets[0].close()


def test_nothing_stays_open_where_one_cannot_be(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            admin = free.getsockname()[1]
        wanted = f"listen: '127.0.0.1:{port}', admin: {{listen: '127.0.0.1:{admin}'}}, probes: {{socket: {tmp_path}/a}}"
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: another process"):
            open_sockets(config(wanted))
        socket.create_server(("127.0.0.1", admin)).close()
        assert not (tmp_path / "a").exists()


def test_relative_paths_count_from_the_directory_of_the_state() -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/canaryproxy:/other"}
    assert probe_socket_path("a.sock", environ) == Path("/var/lib/canaryproxy/a.sock")
    assert probe_socket_path("/run/a.sock", environ) == Path("/run/a.sock")
    assert probe_socket_path("a.sock", {}) == Path("a.sock")
