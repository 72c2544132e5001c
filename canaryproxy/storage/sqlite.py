"""State and history in a SQLite file. Saved data is on the disk when the call returns.

One table has a row for each route, another one the history, a third one the evidence of judges. Each write is one
transaction in WAL mode with full synchronisation, so a kill or a power cut at any moment leaves the state before or
after it. A lock file beside the database prevents writes by a second instance.
"""

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from canaryproxy.control import evidence
from canaryproxy.control.ports import (
    CorruptStateError,
    ForeignStateError,
    TooNewStateError,
    UnreadableStateError,
    UnwritableStateError,
)
from canaryproxy.control.state import Audit, RouteState, State
from canaryproxy.model.document import TooNewError
from canaryproxy.storage import location, schema
from canaryproxy.storage.codec import read_state, write_state

log = logging.getLogger("canaryproxy")

# Maximum length of the history.
MAX_AUDITS = 100_000

# How long to wait for another process that has locked the database.
BUSY_SECONDS = 1.0


class SqliteStore:
    """The state in a file. It is opened at first use, so an unwritable path is reported by the write."""

    def __init__(self, path: Path) -> None:
        self._path = location.resolved(path)
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._lock = -1
        self._saved: Mapping[str, RouteState] = {}
        self._refused = ""

    def __repr__(self) -> str:
        return f"<SqliteStore {self._path}>"

    def check(self) -> None:
        """Raise `ForeignStateError` if the path surely leads to something else than a state file."""
        words = location.occupied(self._path)
        with contextlib.suppress(OSError):
            if not words and location.identify(self._path).kind == "foreign":
                words = f"{self._path} is a database of another program"
        if words:
            raise ForeignStateError(f"{words}; nothing was changed")

    def load(self) -> State | None:
        """The stored state, None on a first start.

        Raises `CorruptStateError` for a damaged state file, which is moved aside; `UnreadableStateError` for a file
        that is not a state file or cannot be read at present; `TooNewStateError` for a file of a later version. Files
        that are foreign or too new are neither written nor moved, now or later.
        """
        try:
            kind = self._recognised()
        except OSError as error:
            raise UnreadableStateError(f"{self._path}: {error.strerror}") from None
        except TooNewStateError as error:
            self._refused = str(error)
            raise
        except ForeignStateError as error:
            self._refused = str(error)
            raise UnreadableStateError(str(error)) from None
        if kind == "nothing" and self._absent():
            return None
        self._opened = self._path.stat()
        try:
            if kind == "damaged":
                raise ValueError("not a SQLite file, or its pages are lost")
            rows = self._read()
            state = {name: read_state(text) for name, text in rows}
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not location.is_damage(error):
                raise UnreadableStateError(f"{self._path}: {error}") from None
            raise CorruptStateError(f"{self._path} is damaged ({error}){self._move_aside()}") from None
        self._saved = state
        return state

    def _recognised(self) -> str:
        """The kind of the file. Raises `ForeignStateError`, `TooNewStateError`, and `OSError` if it cannot be read."""
        if words := location.occupied(self._path):
            raise ForeignStateError(words)
        found = location.identify(self._path)
        if found.kind in ("foreign", "unknown"):
            what = "a database of another program" if found.kind == "foreign" else "not a canaryproxy state file"
            raise ForeignStateError(f"{self._path} is {what}; it is not changed; set `state` to another file")
        if found.version > schema.SCHEMA:
            raise TooNewStateError(
                _too_new(self._path, f"it has schema {found.version}, this version knows {schema.SCHEMA}")
            )
        if found.kind == "ours" and self._moved():
            self._look_for_later()
        return found.kind

    def _look_for_later(self) -> None:
        """Raise `TooNewStateError` if a document in the file is of a version that this one must not act on."""
        with contextlib.suppress(sqlite3.DatabaseError), location.quietly(self._path) as connection:
            for query, read in ((schema.READ_ROUTES, read_state), (schema.READ_EVIDENCE, evidence.load)):
                with contextlib.suppress(sqlite3.OperationalError):
                    for name, text in connection.execute(query):
                        try:
                            read(text)
                        except TooNewError as error:
                            raise TooNewStateError(_too_new(self._path, f"{name}: {error}")) from None
                        except (ValueError, KeyError, TypeError):
                            continue

    def _read(self) -> list[tuple[str, str]]:
        """The rows of the routes, also of a file that another instance has locked or on a read-only volume."""
        with contextlib.suppress(UnwritableStateError):
            return self._rows(self._open())
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                return self._rows(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
        with location.quietly(self._path) as connection:
            return self._rows(connection)

    @staticmethod
    def _rows(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != schema.SCHEMA:
            raise ValueError(f"schema {version}, expected {schema.SCHEMA}")
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise ValueError("its pages failed the check")
        return list(connection.execute(schema.READ_ROUTES))

    def _open(self) -> sqlite3.Connection:
        """The connection for writing. Raises `UnwritableStateError`."""
        if self._connection is not None and not self._moved():
            return self._connection
        self.close()
        self._refuse()
        self._take_lock()
        connection = None
        try:
            location.keep_private(self._path)
            # Transactions are explicit. Calls come from an executor thread, one at a time.
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            fresh = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if fresh:
                connection.executescript(f"BEGIN; {schema.TABLES} PRAGMA user_version = {schema.SCHEMA}; COMMIT;")
            if connection.execute("PRAGMA application_id").fetchone()[0] != location.APPLICATION:
                connection.execute(f"PRAGMA application_id = {location.APPLICATION}")
            connection.execute(schema.EVIDENCE)
            known = {row[1] for row in connection.execute("PRAGMA table_info(history)")}
            for column in (one for one in schema.IDENTITY if one not in known):
                connection.execute(f"ALTER TABLE history ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
            self._opened = self._path.stat()
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            self._release()
            if isinstance(error, sqlite3.DatabaseError) and location.is_damage(error):
                raise
            raise UnwritableStateError(f"{self._path}: {error}") from None
        self._connection = connection
        return connection

    def _refuse(self) -> None:
        """Raise `UnwritableStateError` if the file must not be written, also if it appeared after the start."""
        try:
            if self._refused or self._recognised() == "damaged":
                raise UnwritableStateError(self._refused or f"{self._path} is damaged")
        except (ForeignStateError, TooNewStateError) as error:
            raise UnwritableStateError(str(error)) from None
        except OSError as error:
            raise UnwritableStateError(f"{self._path}: {error.strerror}") from None

    def _absent(self) -> bool:
        """Whether there is surely no file. Without permission to look there may be one."""
        try:
            self._path.stat()
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ENOTDIR)
        return False

    def _moved(self) -> bool:
        """Whether the open file is no longer the file at the path: writes would be lost."""
        try:
            return self._opened is None or not os.path.samestat(self._opened, self._path.stat())
        except OSError:
            return True

    def _take_lock(self) -> None:
        if self._lock >= 0:
            return
        beside = f"{self._path}.lock"
        try:
            # Neither follow a link that another user has placed, nor block on a pipe.
            lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, location.MODE)
        except OSError as error:
            raise UnwritableStateError(f"{beside}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            os.close(lock)
            raise UnwritableStateError(f"{beside} is not a regular file")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UnwritableStateError(f"{self._path} is in use by another canaryproxy") from None
        self._lock = lock

    def _move_aside(self) -> str:
        """Move a damaged file and its write-ahead log aside, for examination. Returns the end of the error message."""
        self.close()
        number = 1
        while os.path.lexists(aside := self._path.with_name(f"{self._path.name}.damaged-{number}")):
            number += 1
        try:
            self._path.rename(aside)
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}-wal").rename(f"{aside}-wal")
            Path(f"{self._path}-shm").unlink(missing_ok=True)
            for one in (aside, Path(f"{aside}-wal")):
                location.tighten(one)
        except OSError as error:
            return f"; it cannot be moved aside ({error.strerror})"
        return f"; it was moved to {aside}"

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write at once or not at all. Raises `UnwritableStateError`."""
        try:
            connection = self._open()
            # IMMEDIATE takes the write lock now, so a busy database fails before anything is written.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise UnwritableStateError(f"{self._path}: {error}") from None
        except BaseException:
            self.close()  # rolls back: an open transaction would fail the next one
            raise

    def save(self, state: State, audits: Sequence[Audit] = ()) -> None:
        """Store a state and its changes durably, or raise `UnwritableStateError` and change nothing."""
        with self._transaction() as connection:
            changed = [(name, write_state(one)) for name, one in state.items() if self._saved.get(name) != one]
            lost = [row for row in connection.execute(schema.READ_ROUTE_NAMES) if row[0] not in state]
            connection.executemany(schema.WRITE_ROUTE, changed)
            connection.executemany(schema.FORGET_ROUTE, lost)
            for audit in audits:
                done = connection.execute(schema.WRITE_ENTRY, schema.dump_entry(audit))
                connection.execute(schema.FORGET_ENTRIES, ((done.lastrowid or 0) - MAX_AUDITS,))
        self._saved = dict(state)

    def history(self, route: str, limit: int) -> list[Audit]:
        """The history of a route, newest first. Raises `UnwritableStateError` if it cannot be read."""
        if self._connection is None and self._absent():
            return []
        return [schema.load_entry(row) for row in self._rows_of(schema.READ_ENTRIES, route, limit)]

    def store_evidence(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Store evidence by route, and delete that of all routes but `keep`. Raises `UnwritableStateError`."""
        with self._transaction() as connection:
            known = [row[0] for row in connection.execute(schema.READ_EVIDENCE_NAMES)]
            connection.executemany(schema.FORGET_EVIDENCE, [(one,) for one in known if one not in keep])
            connection.executemany(schema.WRITE_EVIDENCE, list(learnt.items()))

    def stored_evidence(self) -> dict[str, str]:
        """Evidence by route. Raises `UnwritableStateError` if it cannot be read."""
        if self._connection is None and (self._refused or self._absent()):
            return {}
        return dict(self._rows_of(schema.READ_EVIDENCE))

    def _rows_of(self, query: str, *values: object) -> list[Any]:
        try:
            return self._open().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise UnwritableStateError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Close the file and release the lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._saved = {}
        self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _too_new(path: Path, why: str) -> str:
    return (
        f"{path} was written by a newer canaryproxy ({why}); it is neither used nor changed: start that version again"
    )
