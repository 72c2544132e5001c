"""The state on disk: kept, damaged, locked, unwritable."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from canaryproxy.config.rules import RuleSet
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.control.state import Audit, RouteState
from canaryproxy.control.store import CorruptState, UnreadableState, UnwritableState
from canaryproxy.store.codec import read_state, write_state
from canaryproxy.store.sqlite import SqliteStore

RULES = RuleSet(
    rules_from_written([
        {"name": "t", "headers": {"x-a": {"in": ["1", "2"]}}, "cookies": {"b": {"present": True}}, "percent": 12.5,
         "path": {"prefix": "/a"}, "sources": ["10.0.0.0/8"], "methods": ["GET"], "query": {"q": "1"}, "to": "canary",
         "preview": True, "analyse": True},
    ])
)  # fmt: skip
STATE = {"shop": RouteState(1250, "api", 500, "abc", RULES), "blog": RouteState(0, "file", 100, "", latched="damaged")}


def audit(number: int, route: str = "shop") -> Audit:
    return Audit(float(number), "ci", "write", "127.0.0.1", "weight", route, "5 -> 12.5", "kept", number)


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    assert store.load() is None
    store.save(STATE, [audit(1)])
    store.save({"shop": STATE["shop"]}, [audit(2), audit(3, "blog")])
    store.close()
    again = SqliteStore(tmp_path / "a.db")
    assert again.load() == {"shop": STATE["shop"]}
    assert [one.at for one in again.history("shop", 10)] == [2.0, 1.0]
    assert again.history("shop", 1) == [audit(2)]
    again.close()
    assert "a.db" in repr(again)


def test_a_second_instance_reads_and_is_refused_to_write_until_the_first_is_gone(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "a.db"), SqliteStore(tmp_path / "a.db")
    first.save(STATE)
    assert second.load() == STATE
    with pytest.raises(UnwritableState, match="in use by another canaryproxy"):
        second.save({})
    first.close()
    second.save({})
    second.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 40, b"x"])
def test_a_file_that_is_no_database_is_moved_aside(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(CorruptState, match=r"moved to .*a\.db\.damaged-1"):
        store.load()
    assert (tmp_path / "a.db.damaged-1").read_bytes() == content
    store.save(STATE)
    store.close()
    assert SqliteStore(path).load() == STATE


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 99", "UPDATE routes SET state = '{'", "UPDATE routes SET state = '{}'",
        "UPDATE routes SET state = replace(state, '1250', '20000')", "UPDATE routes SET state = replace(state, 'api', 'x')",
        "UPDATE routes SET state = replace(state, 'x-a', 'bad name')", "DROP TABLE routes",
    ],
)  # fmt: skip
def test_content_that_cannot_be_trusted_is_corrupt(change: str, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.save(STATE)
    store.close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(CorruptState):
        SqliteStore(tmp_path / "a.db").load()


def test_a_place_that_cannot_be_written_is_told_at_the_write(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "missing" / "a.db")
    assert store.load() is None
    assert store.history("shop", 1) == []
    with pytest.raises(UnwritableState, match="No such file"):
        store.save(STATE)
    (tmp_path / "missing").mkdir()
    store.save(STATE)
    store.close()


def test_a_directory_in_its_place_can_be_neither_read_nor_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(UnreadableState):
        store.load()
    with pytest.raises(UnwritableState):
        store.save(STATE)
    Path(f"{tmp_path}.lock").unlink()


def test_a_file_that_somebody_else_has_locked_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("UPDATE routes SET name = name")
        with pytest.raises(UnreadableState, match="locked"):
            store.load()
        with pytest.raises(UnwritableState, match="locked"):
            store.save({})
    assert store.load() == STATE
    store.close()


def test_a_file_that_is_taken_away_while_it_runs_is_written_anew_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    for one in tmp_path.glob("a.db*"):
        if one.suffix != ".lock":
            one.unlink()
    changed = {**STATE, "shop": RouteState(1, "api", 500, "")}
    store.save(changed)
    store.close()
    assert SqliteStore(path).load() == changed


def test_one_that_is_damaged_while_it_runs_refuses_the_write(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(UnwritableState):
        store.save(STATE)
    with pytest.raises(CorruptState):
        store.load()


def test_a_write_that_fails_changes_nothing_and_the_next_one_tries_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.save(STATE)
    assert store._connection is not None
    store._connection.close()
    with pytest.raises(UnwritableState):
        store.save({})
    store.save({"blog": STATE["blog"]})
    store.close()
    assert SqliteStore(tmp_path / "a.db").load() == {"blog": STATE["blog"]}


@pytest.mark.parametrize("state", STATE.values())
def test_a_route_survives_writing_and_reading(state: RouteState) -> None:
    assert read_state(write_state(state)) == state
