"""The tables of the state, and their rows. A rename in the code changes no name of a table or a column.

Every statement names its columns, so tables and columns of a later version stay as they are.
"""

from collections.abc import Sequence
from typing import Any

from canaryproxy.control.state import Audit

# `PRAGMA user_version` of the file. It rises only if an older reader would act wrongly: an additional table or column
# does not raise it.
SCHEMA = 1

TABLES = """
CREATE TABLE IF NOT EXISTS routes (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, route TEXT NOT NULL, detail TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS history_by_route ON history (route, id);
"""

# A later table: files of commit 64e2905 may lack it.
EVIDENCE = "CREATE TABLE IF NOT EXISTS learnt (name TEXT PRIMARY KEY, told TEXT NOT NULL) STRICT"

# Later columns of the history, which commit 64e2905 neither reads nor writes.
IDENTITY = ("rollout_id", "stable_version", "canary_version")

READ_ROUTES = "SELECT name, state FROM routes"
READ_ROUTE_NAMES = "SELECT name FROM routes"
WRITE_ROUTE = "INSERT INTO routes (name, state) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state"
FORGET_ROUTE = "DELETE FROM routes WHERE name = ?"

READ_EVIDENCE = "SELECT name, told FROM learnt"
READ_EVIDENCE_NAMES = "SELECT name FROM learnt"
WRITE_EVIDENCE = "INSERT INTO learnt (name, told) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET told = excluded.told"
FORGET_EVIDENCE = "DELETE FROM learnt WHERE name = ?"

WRITE_ENTRY = (
    "INSERT INTO history (at, actor, role, address, action, route, detail, outcome, generation, rollout_id, "
    "stable_version, canary_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
READ_ENTRIES = (
    "SELECT at, actor, role, address, action, route, detail, outcome, generation, rollout_id, stable_version, "
    "canary_version FROM history WHERE route = ? ORDER BY id DESC LIMIT ?"
)
FORGET_ENTRIES = "DELETE FROM history WHERE id <= ?"


def dump_entry(entry: Audit) -> tuple[object, ...]:
    """The values of `WRITE_ENTRY`, in its order."""
    who = (entry.at, entry.actor, entry.role, entry.address)
    what = (entry.action, entry.route, entry.detail, entry.outcome, entry.generation)
    return (*who, *what, entry.rollout_id, entry.stable_version, entry.canary_version)


def load_entry(row: Sequence[Any]) -> Audit:
    """A row of `READ_ENTRIES`."""
    at, actor, role, address, action, route, detail, outcome, generation, rollout, stable, canary = row
    # Positional, in the order of the fields: tests/storage/test_schema.py names each of them.
    return Audit(at, actor, role, address, action, route, detail, outcome, generation, rollout, stable, canary)
