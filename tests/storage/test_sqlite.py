"""The state on disk: kept, damaged, locked, unwritable."""

import contextlib
import hashlib
import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control.ports import (
    CorruptStateError,
    ForeignStateError,
    TooNewStateError,
    UnreadableStateError,
    UnwritableStateError,
)
from canaryproxy.control.state import Audit, RouteState
from canaryproxy.storage import sqlite
from canaryproxy.storage.schema import TABLES
from canaryproxy.storage.sqlite import SqliteStore

RULES = RuleSet(
    rules_from_written(
        [
            {
                "name": "t",
                "headers": {"x-a": {"in": ["1", "2"]}},
                "cookies": {"b": {"present": True}},
                "percent": 12.5,
                "path": {"prefix": "/a"},
                "sources": ["10.0.0.0/8"],
                "methods": ["GET"],
                "query": {"q": "1"},
                "to": "canary",
                "preview": True,
                "analyse": True,
            },
        ]
    )
)
STATE = {"shop": RouteState(1250, "api", 500, "abc", RULES), "blog": RouteState(0, "file", 100, "", latched="damaged")}


OLDER = (
    "INSERT INTO history (at, actor, role, address, action, route, detail, outcome, generation) VALUES "
    "(1.0, 'ci', 'write', '', 'start', 'shop', 'words', 'kept', 7)"
)
"""As commit 64e2905 writes it."""


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


def test_a_change_that_cannot_be_written_down_leaves_the_next_one_its_turn(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    with pytest.raises(UnicodeEncodeError):
        store.save(STATE, [replace(audit(1), detail="\ud800")])
    store.save(STATE, [audit(2)])
    assert [one.generation for one in store.history("shop", 5)] == [2]


def test_a_rule_for_an_address_with_a_zone_is_read_again(tmp_path: Path) -> None:
    rules = RuleSet(rules_from_written([{"name": "a", "sources": ["fe80::1%eth0"], "to": "canary"}]))
    state = {"shop": RouteState(0, "api", 0, "", rules)}
    store = SqliteStore(tmp_path / "state.db")
    store.save(state)
    store.close()
    assert SqliteStore(tmp_path / "state.db").load() == state


def test_the_history_says_which_rollout_it_was_about_and_an_older_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.executescript(f"BEGIN; {TABLES} PRAGMA user_version = 1; COMMIT;")
        older.execute(OLDER)
        older.commit()
    store = SqliteStore(path)
    about = replace(audit(2), rollout_id="20261128-020013-k3f9z", stable_version="v41", canary_version="v42")
    store.save(STATE, [about])
    assert store.history("shop", 10) == [about, Audit(1.0, "ci", "write", "", "start", "shop", "words", "kept", 7)]
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.execute(OLDER)
        assert older.execute("SELECT count(*) FROM history WHERE rollout_id = ''").fetchone() == (2,)


def test_a_second_instance_reads_and_is_refused_to_write_until_the_first_is_gone(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "a.db"), SqliteStore(tmp_path / "a.db")
    first.save(STATE)
    assert second.load() == STATE
    with pytest.raises(UnwritableStateError, match="in use by another canaryproxy"):
        second.save({})
    first.close()
    second.save({})
    second.close()


GARBAGE = [b"not a database, but long enough to be taken for one" * 40, b"x", b"\0" * 9000]


@pytest.mark.parametrize("content", GARBAGE)
def test_a_state_of_ours_that_is_no_database_any_more_is_moved_aside(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    path.write_bytes(content)
    (tmp_path / "a.db.damaged-1").symlink_to("nowhere")
    store = SqliteStore(path)
    with pytest.raises(CorruptStateError, match=r"moved to .*a\.db\.damaged-2"):
        store.load()
    assert (tmp_path / "a.db.damaged-2").read_bytes() == content
    store.save(STATE)
    store.close()
    assert SqliteStore(path).load() == STATE


@pytest.mark.parametrize("content", GARBAGE)
def test_a_file_that_was_never_ours_is_neither_written_nor_moved(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(UnreadableStateError, match="not a canaryproxy state file; it is not changed"):
        store.load()
    with pytest.raises(UnwritableStateError, match="not a canaryproxy state file"):
        store.save(STATE)
    assert store.stored_evidence() == {}
    store.close()
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_even_be_looked_at_is_reported_and_breaks_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / ("a" * 300))
    store.check()
    with pytest.raises(UnreadableStateError, match="File name too long"):
        store.load()
    for ask in (store.stored_evidence, lambda: store.save(STATE), lambda: store.history("shop", 1)):
        with pytest.raises(UnwritableStateError, match="File name too long"):
            ask()
    store.close()
    missing = SqliteStore(tmp_path / "nowhere" / "state.db")
    assert (missing.load(), missing.stored_evidence(), missing.history("shop", 1)) == (None, {}, [])


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 0",
        "UPDATE routes SET state = '{'",
        "UPDATE routes SET state = '{}'",
        "UPDATE routes SET state = replace(state, '1250', '20000')",
        "UPDATE routes SET state = replace(state, 'api', 'x')",
        "UPDATE routes SET state = replace(state, 'x-a', 'bad name')",
        "DROP TABLE routes",
    ],
)
def test_content_that_cannot_be_trusted_is_corrupt(change: str, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.save(STATE)
    store.close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(CorruptStateError):
        SqliteStore(tmp_path / "a.db").load()


def test_a_place_that_cannot_be_written_is_reported_at_the_write(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "missing" / "a.db")
    assert store.load() is None
    assert store.history("shop", 1) == []
    with pytest.raises(UnwritableStateError, match="No such file"):
        store.save(STATE)
    (tmp_path / "missing").mkdir()
    store.save(STATE)
    store.close()


def test_a_directory_in_its_place_can_be_neither_read_nor_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(UnreadableStateError):
        store.load()
    with pytest.raises(UnwritableStateError):
        store.save(STATE)
    assert not Path(f"{tmp_path}.lock").exists()


def test_a_file_that_another_process_has_locked_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("UPDATE routes SET name = name")
        with pytest.raises(UnreadableStateError, match="locked"):
            store.load()
        with pytest.raises(UnwritableStateError, match="locked"):
            store.save({})
    assert store.load() == STATE
    store.close()


def test_a_file_that_is_taken_away_while_it_runs_is_rewritten_and_whole(tmp_path: Path) -> None:
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
    with pytest.raises(UnwritableStateError):
        store.save(STATE)
    with pytest.raises(CorruptStateError):
        store.load()


def test_a_write_that_fails_changes_nothing_and_the_next_one_tries_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.save(STATE)
    assert store._connection is not None
    store._connection.close()
    with pytest.raises(UnwritableStateError):
        store.save({})
    store.save({"blog": STATE["blog"]})
    store.close()
    assert SqliteStore(tmp_path / "a.db").load() == {"blog": STATE["blog"]}


def digests(folder: Path) -> dict[str, str]:
    """Every file of a folder but the lock, and what is in it."""
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.iterdir()
        if not one.name.endswith(".lock")
    }


LATER = {
    "a file of a later schema": "PRAGMA user_version = 2",
    "a route": "UPDATE routes SET state = json_set(state, '$.v', 2) WHERE name = 'blog'",
    "a rollout": "UPDATE routes SET state = json_set(state, '$.rollout.v', 2) WHERE name = 'blog'",
    "a rule": "UPDATE routes SET state = json_set(state, '$.rules[0].weekday', 'monday') WHERE name = 'shop'",
    "evidence": "UPDATE learnt SET told = json_set(told, '$.v', 2)",
    "what a judge has learnt": "UPDATE learnt SET told = json_set(told, '$.judge.v', 2)",
    "evidence of a check": "UPDATE learnt SET told = json_set(told, '$.judge.panel', json('{\"latency\": {\"v\": 2}}'))",
    "a route, another damaged": "UPDATE routes SET state = CASE name WHEN 'blog' THEN json_set(state, '$.v', 2) ELSE '{' END",
}


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
@pytest.mark.parametrize("change", LATER.values(), ids=LATER)
def test_a_state_of_a_later_version_is_neither_used_nor_written_nor_moved(
    change: str, killed: bool, tmp_path: Path
) -> None:
    """Where the later version was killed, its log of changes is beside the file, and stays there."""
    there = tmp_path / "there"
    there.mkdir()
    path = there / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    data = {"at": 1.0, "of": "", "version": "", "step": 0.0, "lost": 0.0, "judge": {"v": 1}}
    store.store_evidence({"shop": json.dumps(data)}, {"shop"})
    assert store._connection is not None
    store._connection.execute(change)
    if killed:
        path = tmp_path / "killed" / "a.db"
        path.parent.mkdir()
        for one in there.iterdir():
            (path.parent / one.name).write_bytes(one.read_bytes())
        assert path.with_name("a.db-wal").stat().st_size
        path.with_name("a.db-shm").unlink()
    store.close()
    path.with_name("a.db.lock").unlink()
    before = digests(path.parent)
    later = SqliteStore(path)
    later.check()
    with pytest.raises(TooNewStateError, match="written by a newer canaryproxy"):
        later.load()
    for write in (
        lambda: later.save(STATE, [audit(1)]),
        lambda: later.store_evidence({}, set()),
        lambda: later.history("a", 1),
    ):
        with pytest.raises(UnwritableStateError, match="written by a newer canaryproxy"):
            write()
    assert later.stored_evidence() == {}
    later.close()
    assert digests(path.parent) == before


def test_one_that_comes_to_the_path_while_it_runs_is_not_written_either(tmp_path: Path) -> None:
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    for one in (path, other):
        store = SqliteStore(one)
        store.save(STATE)
        store.close()
    with contextlib.closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("UPDATE routes SET state = json_set(state, '$.v', 2)")
    store = SqliteStore(path)
    assert store.load() == STATE
    store.save(STATE)
    other.replace(path)
    before = path.read_bytes()
    with pytest.raises(UnwritableStateError, match="newer"):
        store.save({})
    store.close()
    assert path.read_bytes() == before


def test_fields_that_a_later_version_has_added_survive_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE routes SET state = json_set(state, '$.later', 'x', '$.rollout.colour', 7)")
        connection.execute("ALTER TABLE history ADD COLUMN rollout TEXT")
        connection.execute("CREATE TABLE later (name TEXT)")
        connection.execute("INSERT INTO later VALUES ('kept')")
    store = SqliteStore(path)
    state = store.load()
    assert state is not None
    store.save({**state, "shop": replace(state["shop"], weight=7)}, [audit(9)])
    assert store.history("shop", 1) == [audit(9)]
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        data = json.loads(connection.execute("SELECT state FROM routes WHERE name = 'shop'").fetchone()[0])
        assert (data["weight"], data["later"], data["rollout"]["colour"]) == (7, "x", 7)
        assert connection.execute("SELECT name FROM later").fetchall() == [("kept",)]


@pytest.mark.parametrize("before", [0, int.from_bytes(b"cnry")])
def test_a_file_says_whose_it_is_also_one_that_did_not_before(before: int, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for _ in range(2):
        store = SqliteStore(path)
        store.save(STATE)
        store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA application_id = {before}")
    store = SqliteStore(path)
    assert store.load() == STATE
    store.save({})
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == int.from_bytes(b"cnry")


@pytest.mark.parametrize("content", [b"", None], ids=["an empty file", "an empty database"])
def test_what_holds_nothing_is_ours_to_use(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")
    else:
        path.write_bytes(content)
    store = SqliteStore(path)
    store.check()
    assert not store.load()
    store.save(STATE)
    store.close()
    assert SqliteStore(path).load() == STATE


FOREIGN = {
    "of another program": ("CREATE TABLE urls (id INTEGER)",),
    "with a table named as one of ours": ("CREATE TABLE history (url TEXT)", "CREATE TABLE routes (a TEXT)"),
    "that says whose it is": ("PRAGMA application_id = 252006673", "CREATE TABLE routes (name TEXT, state TEXT)"),
    "without tables, of some version": ("PRAGMA user_version = 7",),
}


@pytest.mark.parametrize("making", FOREIGN.values(), ids=FOREIGN)
def test_a_database_of_another_program_is_refused_at_the_start(making: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in making:
            connection.execute(statement)
    before = digests(tmp_path)
    store = SqliteStore(path)
    with pytest.raises(ForeignStateError, match="another program"):
        store.check()
    with pytest.raises(UnreadableStateError, match="another program"):
        store.load()
    with pytest.raises(UnwritableStateError, match="another program"):
        store.save(STATE)
    store.close()
    assert digests(tmp_path) == before
    assert not (tmp_path / "theirs.db.lock").exists()


def test_a_named_pipe_that_comes_to_the_path_while_it_runs_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnwritableStateError, match="a named pipe"):
        store.save({})
    store.close()


def test_two_links_to_one_file_are_one_state_with_one_lock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "data" / "a.db")
    first, second = SqliteStore(link), SqliteStore(tmp_path / "data" / "a.db")
    first.save(STATE)
    with pytest.raises(UnwritableStateError, match="in use by another canaryproxy"):
        second.save({})
    first.close()
    assert second.load() == STATE
    second.close()
    assert link.is_symlink()


def test_a_damaged_file_is_moved_with_its_log_of_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    path.write_bytes(b"gone" * 99)
    (tmp_path / "a.db-wal").write_bytes(b"changes")
    with pytest.raises(CorruptStateError):
        SqliteStore(path).load()
    assert (tmp_path / "a.db.damaged-1-wal").read_bytes() == b"changes"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_owner_is_used_as_far_as_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    os.chown(path, 65534, 65534)
    again = SqliteStore(path)
    again.check()
    assert again.load() == STATE
    again.save({})
    again.close()
    assert path.stat().st_uid == 65534


def test_on_a_read_only_volume_it_is_read_as_it_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save(STATE)
    store.close()
    connect = sqlite3.connect

    def read_only(database: str, **given: object) -> sqlite3.Connection:
        """As SQLite does it where no `-shm` can be made."""
        if "immutable" in str(database):
            return connect(database, **given)  # type: ignore[call-overload, no-any-return]
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert store.load() == STATE
    with pytest.raises(UnwritableStateError):
        store.save({})
    store.close()
