"""Where the state is: whether a path leads to a file that is ours to read and write.

Everything here looks without leaving a trace. What is not known to be ours is neither opened for writing nor moved: a
device, a pipe, a socket, a directory, another program's database, a file of unknown content.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MAGIC = b"SQLite format 3\0"

HEADER = 100
"""Bytes of a database's header (https://www.sqlite.org/fileformat.html): user version at 60, application id at 68."""

APPLICATION = int.from_bytes(b"cnry")
"""`PRAGMA application_id` of our files, so that every later version knows them. Files of 64e2905 have none."""

OUR_TABLES = {
    "routes": ("name", "state"),
    "learnt": ("name", "told"),
    "history": (
        "id",
        "at",
        "actor",
        "role",
        "address",
        "action",
        "route",
        "detail",
        "outcome",
        "generation",
    ),
}
"""What a file without an application id is known by: tables of ours, with their columns and any added behind them."""

MARKS = (b"CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL)", b'"weight_source"')
"""What a damaged file of ours still holds, as a rule."""

SEARCHED = 1 << 20
"""Bytes of a damaged file that are searched for them."""

COMPANIONS = (".lock", "-wal", "-shm", "-journal")
"""Ends of the names of files that go with it."""

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link"),
)


@dataclass(frozen=True, slots=True)
class StateFileInfo:
    """What is there. `ours` may be written, `damaged` was ours once, `foreign` is another program's database, `unknown`
    has content that says nothing. `version` is the `user_version` of one that is ours.
    """

    kind: Literal["nothing", "ours", "damaged", "foreign", "unknown"]
    version: int = 0


def occupied(path: Path) -> str:
    """Why nothing may be opened at a path, in words; empty if it may."""
    for one in (path, *(Path(f"{path}{end}") for end in COMPANIONS)):
        with contextlib.suppress(OSError):
            mode = one.lstat().st_mode
            for is_kind, words in KINDS:
                if is_kind(mode):
                    return f"{one} is {words}, the state is kept in a regular file"
    return ""


def identify(path: Path) -> StateFileInfo:
    """What is at a path that leads to a regular file or to nothing. Raises `OSError` where that cannot be seen."""
    try:
        with path.open("rb") as file:
            begin = file.read(HEADER)
    except FileNotFoundError:
        return StateFileInfo("nothing")
    if not begin:
        return StateFileInfo("nothing")
    if not begin.startswith(MAGIC):
        return StateFileInfo("damaged" if _was_ours(path) else "unknown")
    try:
        with quietly(path) as connection:
            return _database(connection)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise OSError(None, str(error)) from None
        return StateFileInfo("damaged", int.from_bytes(begin[60:64])) if _was_ours(path) else StateFileInfo("unknown")


def _database(connection: sqlite3.Connection) -> StateFileInfo:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if application == APPLICATION:
        return StateFileInfo("ours", version)
    if application:
        return StateFileInfo("foreign")
    if not tables:
        return StateFileInfo("foreign" if version else "ours")
    return (
        StateFileInfo("ours", version)
        if any(_is_ours(connection, name) for name in tables)
        else StateFileInfo("foreign")
    )


def _is_ours(connection: sqlite3.Connection, name: str) -> bool:
    columns = OUR_TABLES.get(name)
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
    return columns is not None and tuple(row[0] for row in found)[: len(columns)] == columns


def _was_ours(path: Path) -> bool:
    """Our lock is beside it, or it still holds what only our files hold."""
    if Path(f"{path}.lock").exists():
        return True
    with path.open("rb") as file:
        begin = file.read(SEARCHED)
    return int.from_bytes(begin[68:72]) == APPLICATION or any(mark in begin for mark in MARKS)


@contextlib.contextmanager
def quietly(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a database without touching it. Where a process that was killed has left a log of changes, a copy is read:
    SQLite would work the log in.
    """
    with contextlib.ExitStack() as stack:
        uri = f"{path.absolute().as_uri()}?immutable=1"
        if _size(log := Path(f"{path}-wal")):
            copy = Path(stack.enter_context(_folder(path)), "state")
            shutil.copyfile(path, copy)
            shutil.copyfile(log, f"{copy}-wal")
            uri = copy.as_uri()
        yield stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _folder(path: Path) -> "tempfile.TemporaryDirectory[str]":
    """In a container the state's own volume may be all that can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix="canaryproxy-")
    except OSError:
        return tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is at fault: not its disk, its permissions or another process, which may all be better soon.

    Primary result codes, https://www.sqlite.org/rescode.html: ERROR is what a file with other tables gives.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def resolved(path: Path) -> Path:
    """The file that a path leads to: two links to one file are one state, with one lock."""
    return Path(os.path.realpath(path))
