"""State and history in a SQLite file: what is saved is on the disk when the call returns. What waits for that, and what
has its effect before, is the controller's to say.

One table has a row for each route, the other who did what. Writes are single transactions in WAL mode with full
synchronisation, so a kill or a power cut at any moment leaves the state before or after. A lock beside the file
keeps a second instance from writing.
"""

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

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
from canaryproxy.storage.codec import read_state, write_state
from canaryproxy.storage.location import APPLICATION, identify, is_damage, occupied, quietly, resolved
from canaryproxy.storage.permissions import keep_private, tighten
from canaryproxy.storage.schema import (
    EVIDENCE,
    FORGET_ENTRIES,
    FORGET_EVIDENCE,
    FORGET_ROUTE,
    IDENTITY,
    READ_ENTRIES,
    READ_EVIDENCE,
    READ_EVIDENCE_NAMES,
    READ_ROUTE_NAMES,
    READ_ROUTES,
    SCHEMA,
    TABLES,
    WRITE_ENTRY,
    WRITE_EVIDENCE,
    WRITE_ROUTE,
    dump_entry,
    load_entry,
)

log = logging.getLogger("canaryproxy")

MAX_AUDITS = 100_000
"""Entries of the history that are kept."""

BUSY_SECONDS = 1.0
"""Seconds that a lock of another process is waited for."""


class SqliteStore:
    """The state in a file. Opened when first needed, so an unwritable place is found, and reported, at the write."""

    def __init__(self, path: Path) -> None:
        self._path = resolved(path)
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._lock = -1
        self._saved: Mapping[str, RouteState] = {}
        self._refused = ""

    def __repr__(self) -> str:
        return f"<SqliteStore {self._path}>"

    def check(self) -> None:
        """Whether there may be a state at the path. Raises `ForeignStateError` for what is surely something else."""
        words = occupied(self._path)
        with contextlib.suppress(OSError):
            if not words and identify(self._path).kind == "foreign":
                words = f"{self._path} is a database of another program"
        if words:
            raise ForeignStateError(f"{words}; nothing was changed")

    def load(self) -> State | None:
        """What was kept, None on a first start.

        Raises `CorruptStateError` for a file of ours that is damaged: it is moved aside. What is not known to be ours,
        or of a later version, is neither written nor moved, whatever is asked afterwards: raises `UnreadableStateError`
        and
        `TooNewStateError`. Raises `UnreadableStateError` also for a file that cannot be read at present.
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
                raise ValueError("it is no SQLite file, or its pages are lost")
            rows = self._read()
            state = {name: read_state(text) for name, text in rows}
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                raise UnreadableStateError(f"{self._path}: {error}") from None
            raise CorruptStateError(f"{self._path} is damaged ({error}){self._move_aside()}") from None
        self._saved = state
        return state

    def _recognised(self) -> str:
        """What is at the path. Raises `ForeignStateError`, `TooNewStateError`, and `OSError` where it cannot be
        seen.
        """
        if words := occupied(self._path):
            raise ForeignStateError(words)
        found = identify(self._path)
        if found.kind in ("foreign", "unknown"):
            what = "a database of another program" if found.kind == "foreign" else "not known to be a state of ours"
            raise ForeignStateError(f"{self._path} is {what}, and stays as it is; name another file as `state`")
        if found.version > SCHEMA:
            raise TooNewStateError(_too_new(self._path, f"it has schema {found.version}, known is {SCHEMA}"))
        if found.kind == "ours" and self._moved():
            self._look_for_later()
        return found.kind

    def _look_for_later(self) -> None:
        """Whether anything in the file must not be acted on by this version. Raises `TooNewStateError`."""
        with contextlib.suppress(sqlite3.DatabaseError), quietly(self._path) as connection:
            for query, read in ((READ_ROUTES, read_state), (READ_EVIDENCE, evidence.load)):
                with contextlib.suppress(sqlite3.OperationalError):
                    for name, text in connection.execute(query):
                        try:
                            read(text)
                        except TooNewError as error:
                            raise TooNewStateError(_too_new(self._path, f"{name}: {error}")) from None
                        except (ValueError, KeyError, TypeError):
                            continue

    def _read(self) -> list[tuple[str, str]]:
        """Where it cannot be written: beside another instance as SQLite reads it, on a read-only volume as it is."""
        with contextlib.suppress(UnwritableStateError):
            return self._rows(self._open())
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                return self._rows(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
        with quietly(self._path) as connection:
            return self._rows(connection)

    @staticmethod
    def _rows(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA:
            raise ValueError(f"schema {version}, expected {SCHEMA}")
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise ValueError("the check of its pages failed")
        return list(connection.execute(READ_ROUTES))

    def _open(self) -> sqlite3.Connection:
        """The connection for writing. Raises `UnwritableStateError`."""
        if self._connection is not None and not self._moved():
            return self._connection
        self.close()
        self._refuse()
        self._take_lock()
        connection = None
        try:
            keep_private(self._path)
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            fresh = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if fresh:
                connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(EVIDENCE)
            known = {row[1] for row in connection.execute("PRAGMA table_info(history)")}
            for column in (one for one in IDENTITY if one not in known):
                connection.execute(f"ALTER TABLE history ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
            self._opened = self._path.stat()
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            self._release()
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise
            raise UnwritableStateError(f"{self._path}: {error}") from None
        self._connection = connection
        return connection

    def _refuse(self) -> None:
        """Raise `UnwritableStateError` for what is not ours to write, also where that has come to the path since."""
        try:
            if self._refused or self._recognised() == "damaged":
                raise UnwritableStateError(self._refused or f"{self._path} is damaged")
        except (ForeignStateError, TooNewStateError) as error:
            raise UnwritableStateError(str(error)) from None
        except OSError as error:
            raise UnwritableStateError(f"{self._path}: {error.strerror}") from None

    def _absent(self) -> bool:
        """Whether there is surely no file; of one that cannot be seen it is not known."""
        try:
            self._path.stat()
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ENOTDIR)
        return False

    def _moved(self) -> bool:
        """Whether the file that we have open is not the one at our path any more: what we wrote would be lost."""
        try:
            return self._opened is None or not os.path.samestat(self._opened, self._path.stat())
        except OSError:
            return True

    def _take_lock(self) -> None:
        if self._lock >= 0:
            return
        beside = f"{self._path}.lock"
        try:
            lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise UnwritableStateError(f"{beside}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            os.close(lock)
            raise UnwritableStateError(f"{beside} is no regular file")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UnwritableStateError(f"{self._path} is in use by another canaryproxy") from None
        self._lock = lock

    def _move_aside(self) -> str:
        """Move a damaged file away, its log of changes with it, so that it can be examined; where it went, in words."""
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
                tighten(one)
        except OSError as error:
            return f"; it cannot be moved aside ({error.strerror})"
        return f"; it was moved to {aside}"

    def save(self, state: State, audits: Sequence[Audit] = ()) -> None:
        """Keep a state and who changed it, durably, or raise `UnwritableStateError` and change nothing."""
        try:
            connection = self._open()
        except sqlite3.DatabaseError as error:
            raise UnwritableStateError(f"{self._path}: {error}") from None
        changed = [(name, write_state(one)) for name, one in state.items() if self._saved.get(name) != one]
        try:
            connection.execute("BEGIN IMMEDIATE")
            lost = [row for row in connection.execute(READ_ROUTE_NAMES) if row[0] not in state]
            connection.executemany(WRITE_ROUTE, changed)
            connection.executemany(FORGET_ROUTE, lost)
            for audit in audits:
                done = connection.execute(WRITE_ENTRY, dump_entry(audit))
                connection.execute(FORGET_ENTRIES, ((done.lastrowid or 0) - MAX_AUDITS,))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise UnwritableStateError(f"{self._path}: {error}") from None
        self._saved = dict(state)

    def history(self, route: str, limit: int) -> list[Audit]:
        """What was done to a route, the newest first. Raises `UnwritableStateError` if it cannot be read."""
        if self._connection is None and self._absent():
            return []
        try:
            rows = self._open().execute(READ_ENTRIES, (route, limit))
            return [load_entry(row) for row in rows]
        except sqlite3.Error as error:
            raise UnwritableStateError(f"{self._path}: {error}") from None

    def store_evidence(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Keep what judges have learnt, and forget all but those to `keep`. Raises `UnwritableStateError`."""
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            known = [row[0] for row in connection.execute(READ_EVIDENCE_NAMES)]
            connection.executemany(FORGET_EVIDENCE, [(one,) for one in known if one not in keep])
            connection.executemany(WRITE_EVIDENCE, list(learnt.items()))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise UnwritableStateError(f"{self._path}: {error}") from None

    def stored_evidence(self) -> dict[str, str]:
        """What judges had learnt. Raises `UnwritableStateError` if it cannot be read."""
        if self._connection is None and (self._refused or self._absent()):
            return {}
        try:
            return dict(self._open().execute(READ_EVIDENCE).fetchall())
        except sqlite3.Error as error:
            raise UnwritableStateError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
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
