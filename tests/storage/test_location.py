"""Only regular files that are ours are touched, and looking leaves no trace."""

import contextlib
import os
import socket
import sqlite3
import tempfile
from pathlib import Path

import pytest

from canaryproxy.storage.location import APPLICATION, StateFileInfo, identify, occupied, quietly, resolved


def database(path: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.mark.parametrize("end", ["", ".lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["a directory", "a named pipe", "a socket", "a symbolic link"])
def test_what_is_no_regular_file_is_not_opened_for_the_state_nor_beside_it(kind: str, end: str, tmp_path: Path) -> None:
    path = Path(f"{tmp_path / 's'}{end}")
    with contextlib.ExitStack() as stack:
        if kind == "a directory":
            path.mkdir()
        elif kind == "a named pipe":
            os.mkfifo(path)
        elif kind == "a socket":
            stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX))).bind(str(path))
        else:
            path.symlink_to("elsewhere")
        assert occupied(tmp_path / "s") == f"{path} is {kind}; the state needs a regular file"


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_a_device_is_none_either(device: str, tmp_path: Path) -> None:
    assert "is a character device" in occupied(Path(device))
    link = tmp_path / "link"
    link.symlink_to(device)
    assert "is a character device" in occupied(resolved(link))


def test_a_regular_file_and_nothing_are_free(tmp_path: Path) -> None:
    assert occupied(tmp_path / "s") == ""
    (tmp_path / "s").touch()
    assert occupied(tmp_path / "s") == ""
    assert occupied(tmp_path / "missing" / "s") == ""


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ((f"PRAGMA application_id = {APPLICATION}", "PRAGMA user_version = 9"), StateFileInfo("ours", 9)),
        (
            ("CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL)", "PRAGMA user_version = 1"),
            StateFileInfo("ours", 1),
        ),
        (("CREATE TABLE learnt (name TEXT PRIMARY KEY, told TEXT)", "CREATE TABLE more (a)"), StateFileInfo("ours")),
        (("CREATE TABLE routes (name TEXT, state TEXT, of_a_later_version TEXT)",), StateFileInfo("ours")),
        (("CREATE TABLE routes (name TEXT, theirs TEXT, state TEXT)",), StateFileInfo("foreign")),
        (("PRAGMA application_id = 5", "CREATE TABLE routes (name TEXT, state TEXT)"), StateFileInfo("foreign")),
        (("CREATE TABLE a (b)", "DROP TABLE a"), StateFileInfo("ours")),
    ],
)
def test_a_database_is_known_by_its_application_id_or_by_tables_of_ours(
    statements: tuple[str, ...], found: StateFileInfo, tmp_path: Path
) -> None:
    assert identify(database(tmp_path / "a.db", *statements)) == found


def test_a_damaged_file_is_ours_if_it_still_holds_what_only_ours_do(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\0" * 100 + b"CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT")
    assert identify(path).kind == "damaged"
    path.write_bytes(b"CREATE TABLE cities (name TEXT)")
    assert identify(path).kind == "unknown"
    path.with_name("a.lock").touch()
    assert identify(path).kind == "damaged"


def test_pages_that_are_lost_do_not_hide_a_later_schema(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.db", f"PRAGMA application_id = {APPLICATION}", "PRAGMA user_version = 9", "CREATE TABLE a (b)"
    )
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)
    assert identify(path) == StateFileInfo("damaged", 9)


def test_a_log_of_changes_is_read_and_not_worked_in(tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    with contextlib.closing(sqlite3.connect(one, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE routes (name TEXT, state TEXT)")
        connection.execute("INSERT INTO routes VALUES ('shop', 'new')")
        two.write_bytes(one.read_bytes())
        Path(f"{two}-wal").write_bytes(Path(f"{one}-wal").read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with quietly(two) as connection:
        assert connection.execute("SELECT state FROM routes").fetchall() == [("new",)]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_copy_is_made_beside_the_file_where_there_is_no_other_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "a.db", "CREATE TABLE routes (name TEXT, state TEXT)")
    Path(f"{path}-wal").write_bytes(b"no log at all")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with quietly(path) as connection:
        assert connection.execute("SELECT count(*) FROM routes").fetchone() == (0,)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.db", "a.db-wal"]


def test_a_file_that_may_not_be_read_is_none_of_anything(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        identify(tmp_path)
    assert identify(tmp_path / "nothing") == StateFileInfo("nothing")
