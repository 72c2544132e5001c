"""The files of a state are our user's alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from canaryproxy.control.ports import CorruptStateError
from canaryproxy.control.state import RouteState
from canaryproxy.storage.location import tighten
from canaryproxy.storage.sqlite import SqliteStore


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


def kept(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    store.save({"shop": RouteState(5, "api", 5, "")})
    return store


def test_new_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    store = kept(tmp_path / "state.db")
    names = ("state.db", "state.db-wal", "state.db-shm", "state.db.lock")
    assert modes(tmp_path) == dict.fromkeys(names, 0o600)
    store.close()


def test_files_of_an_earlier_version_are_closed_to_others_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.db"
    kept(path).close()
    for one in tmp_path.iterdir():
        one.chmod(0o666)
    caplog.set_level("INFO")
    store = kept(path)
    assert set(modes(tmp_path).values()) == {0o600}
    assert f"{path} was accessible to other users; its mode is 600 now" in caplog.text
    store.close()


def test_a_damaged_file_that_is_set_aside_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept(path).close()
    path.write_bytes(b"?" * 4096)
    path.chmod(0o644)
    with pytest.raises(CorruptStateError):
        SqliteStore(path).load()
    assert modes(tmp_path)["state.db.damaged-1"] == 0o600


def test_rights_are_taken_and_never_given(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    for before, after in ((0o444, 0o400), (0o000, 0o000), (0o777, 0o600), (0o600, 0o600)):
        path.chmod(before)
        tighten(path)
        assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_file_that_cannot_be_closed_is_said_and_one_that_is_none_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x"
    path.touch(0o644)
    path.chmod(0o644)

    def chmod(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    tighten(path)
    tighten(tmp_path / "nothing")
    assert caplog.messages == [
        f"{path} is accessible to other users; its mode cannot be changed: Operation not permitted"
    ]
