"""Sockets with a path: whose they are, and what becomes of those that are left behind."""

import fcntl
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from canaryproxy.processes.listen import MAX_PATH_BYTES, ListenError, listen_at

LEFT_BEHIND = "import socket, os; s = socket.socket(socket.AF_UNIX); s.bind({!r}); s.listen(); os._exit(0)"


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True


def test_it_listens_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bound = listen_at(tmp_path / "a.sock")
    finally:
        os.umask(before)
    with bound.sock:
        assert stat.S_IMODE(bound.path.stat().st_mode) == 0o600
        assert not bound.sock.getblocking()
        assert connects(bound.path)
        bound.remove()
    assert not bound.path.exists()


def test_one_that_a_killed_process_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    subprocess.run([sys.executable, "-c", LEFT_BEHIND.format(str(path))], check=True)
    assert path.is_socket()
    assert not connects(path)
    with listen_at(path).sock:
        assert connects(path)


def test_a_living_ones_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with listen_at(path).sock:
        for _ in range(2):
            with pytest.raises(
                ListenError, match=f"^cannot listen on {path}: another process listens there; give each"
            ):
                listen_at(path)
        assert connects(path)


def test_one_whose_queue_is_full_lives_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canaryproxy.processes.listen.LOCK_TIMEOUT_SECONDS", 0.05)
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(path))
        full.listen(0)
        callers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(str(path))
        with pytest.raises(ListenError, match="another process listens there"):
            listen_at(path)
        for caller in callers:
            caller.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "file":
        path.write_text("mine")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ListenError, match="there is something that is no socket; it stays as it is"):
        listen_at(path)
    assert path.is_symlink() or path.exists()


def test_places_that_cannot_have_a_socket_are_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="no such directory"):
        listen_at(tmp_path / "nowhere" / "a.sock")
    with pytest.raises(ListenError, match=f"{MAX_PATH_BYTES} bytes at most"):
        listen_at(tmp_path / ("a" * MAX_PATH_BYTES))


def test_the_file_of_another_is_not_removed(tmp_path: Path) -> None:
    bound = listen_at(tmp_path / "a.sock")
    bound.sock.close()
    with listen_at(bound.path).sock:
        bound.remove()
        assert connects(bound.path)
    bound.path.unlink()
    bound.remove()


def test_a_held_lock_of_the_directory_stops_neither_start_nor_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user who may read it can."""
    monkeypatch.setattr("canaryproxy.processes.listen.LOCK_TIMEOUT_SECONDS", 0.05)
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        bound = listen_at(tmp_path / "a.sock")
        with bound.sock:
            assert connects(bound.path)
            bound.remove()
        assert not bound.path.exists()
    finally:
        os.close(handle)
