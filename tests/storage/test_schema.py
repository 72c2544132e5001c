"""Rows of the history, and tables that a later version has widened."""

import contextlib
import json
import sqlite3
from pathlib import Path

from canaryproxy.control.state import Audit, RouteState
from canaryproxy.storage.schema import EVIDENCE, IDENTITY, TABLES, dump_entry, load_entry
from canaryproxy.storage.sqlite import SqliteStore

ENTRY = Audit(
    at=1.5,
    actor="ci",
    role="write",
    address="10.0.0.1",
    action="start",
    route="shop",
    detail="words",
    outcome="kept",
    generation=7,
    rollout_id="20261128-020013-k3f9z",
    stable_version="v41",
    canary_version="v42",
)


def test_an_entry_is_stored_column_by_column() -> None:
    assert dump_entry(ENTRY) == (
        1.5,
        "ci",
        "write",
        "10.0.0.1",
        "start",
        "shop",
        "words",
        "kept",
        7,
        "20261128-020013-k3f9z",
        "v41",
        "v42",
    )
    assert load_entry(dump_entry(ENTRY)) == ENTRY


def test_the_tables_are_those_of_the_golden_states() -> None:
    golden = Path(__file__).parents[1] / "data" / "state" / "d8fb47b" / "progressing.sql"
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as here,
        contextlib.closing(sqlite3.connect(":memory:")) as old,
    ):
        here.executescript(TABLES)
        here.execute(EVIDENCE)
        for column in IDENTITY:
            here.execute(f"ALTER TABLE history ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
        old.executescript(golden.read_text())
        schema = "SELECT name, sql FROM sqlite_schema ORDER BY name"
        assert here.execute(schema).fetchall() == old.execute(schema).fetchall()


def test_a_column_that_a_later_version_has_added_is_kept_through_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.save({"shop": RouteState(0, "file", 0, "")})
    store.store_evidence({"shop": json.dumps({"at": 1})}, {"shop"})
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as later:
        for table in ("routes", "learnt", "history"):
            later.execute(f"ALTER TABLE {table} ADD COLUMN colour TEXT NOT NULL DEFAULT ''")
            later.execute(f"UPDATE {table} SET colour = 'red'")
        later.commit()
    store = SqliteStore(path)
    assert store.load() == {"shop": RouteState(0, "file", 0, "")}
    store.save({"shop": RouteState(500, "api", 0, "")}, [ENTRY])
    store.store_evidence({"shop": json.dumps({"at": 2})}, {"shop"})
    assert store.stored_evidence() == {"shop": '{"at": 2}'}
    assert store.history("shop", 5) == [ENTRY]
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as later:
        assert (
            later.execute("SELECT colour FROM routes UNION ALL SELECT colour FROM learnt").fetchall() == [("red",)] * 2
        )
