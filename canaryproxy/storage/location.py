"""The file at the path of the state: whether it is a state file of this program, and who may read it.

Inspection leaves no trace. A file that is not known to be a state file is neither opened for writing nor moved: a
device, a pipe, a socket, a directory, another program's database, a file of unknown content. State files hold who did
what, and rules and canaries that were set over the API, so only our user may read and write them.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

log = logging.getLogger("canaryproxy")

# Mode of state files, whatever the umask.
MODE = 0o600

MAGIC = b"SQLite format 3\0"

# Size of a database header (https://www.sqlite.org/fileformat.html): user version at 60, application id at 68.
HEADER = 100

# `PRAGMA application_id` of state files. Files of commit 64e2905 have none.
APPLICATION = int.from_bytes(b"cnry")

# Tables by which a file without an application id is recognised; later versions may have added columns at the end.
OUR_TABLES = {
    "routes": ("name", "state"),
    "learnt": ("name", "told"),
    "history": ("id", "at", "actor", "role", "address", "action", "route", "detail", "outcome", "generation"),
}

# Text by which a damaged state file is recognised.
MARKS = (b"CREATE TABLE routes (name TEXT PRIMARY KEY, state TEXT NOT NULL)", b'"weight_source"')

# Bytes of a damaged file that are searched for `MARKS`.
SEARCHED = 1 << 20

# Suffixes of the files beside a state file.
COMPANIONS = (".lock", "-wal", "-shm", "-journal")

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
    """The file at a path. `ours` is a state file or may become one, `damaged` was a state file, `foreign` is another
    program's database, `unknown` has content that is not recognised. `version` is the `user_version` of a state file.
    """

    kind: Literal["nothing", "ours", "damaged", "foreign", "unknown"]
    version: int = 0


def occupied(path: Path) -> str:
    """Why no file may be opened at a path; empty if it may."""
    for one in (path, *(Path(f"{path}{end}") for end in COMPANIONS)):
        with contextlib.suppress(OSError):
            mode = one.lstat().st_mode
            for is_kind, words in KINDS:
                if is_kind(mode):
                    return f"{one} is {words}; the state needs a regular file"
    return ""


def identify(path: Path) -> StateFileInfo:
    """The file at a path that leads to a regular file or to nothing. Raises `OSError` if it cannot be read."""
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
    if application:
        return StateFileInfo("ours", version) if application == APPLICATION else StateFileInfo("foreign")
    # Without tables it is a file that was created for a state and never written.
    known = any(_is_ours(connection, name) for name in tables) if tables else not version
    return StateFileInfo("ours", version) if known else StateFileInfo("foreign")


def _is_ours(connection: sqlite3.Connection, name: str) -> bool:
    columns = OUR_TABLES.get(name)
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
    return columns is not None and tuple(row[0] for row in found)[: len(columns)] == columns


def _was_ours(path: Path) -> bool:
    """Whether our lock file is beside it, or it still holds text of a state file."""
    if Path(f"{path}.lock").exists():
        return True
    with path.open("rb") as file:
        begin = file.read(SEARCHED)
    return int.from_bytes(begin[68:72]) == APPLICATION or any(mark in begin for mark in MARKS)


@contextlib.contextmanager
def quietly(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads a database without changing it. If a killed process has left a write-ahead log, a copy is
    read, since SQLite would work the log into the database.
    """
    with contextlib.ExitStack() as stack:
        # immutable: SQLite neither locks the file nor creates files beside it.
        uri = f"{path.absolute().as_uri()}?immutable=1"
        wal, logged = Path(f"{path}-wal"), 0
        with contextlib.suppress(FileNotFoundError):  # another process may work the log in at any moment
            logged = wal.stat().st_size
        if logged:
            copy = Path(stack.enter_context(_folder(path)), "state")
            shutil.copyfile(path, copy)
            shutil.copyfile(wal, f"{copy}-wal")
            uri = copy.as_uri()
        yield stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True)))


def _folder(path: Path) -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder. In a container the volume of the state may be the only writable place."""
    try:
        return tempfile.TemporaryDirectory(prefix="canaryproxy-")
    except OSError:
        return tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is damaged. Errors of the disk, of permissions or of a lock are not damage: they may pass.

    Primary result codes: https://www.sqlite.org/rescode.html. ERROR comes from a file with other tables.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def resolved(path: Path) -> Path:
    """The path without symbolic links, so that two links to one file have one lock."""
    return Path(os.path.realpath(path))


def keep_private(path: Path) -> None:
    """Create the file if it does not exist, and take group and other permissions from it and the files beside it.
    SQLite creates those with the mode of the database. Raises `OSError` if the file cannot be created.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, MODE))
    for one in (path, *(Path(f"{path}{end}") for end in COMPANIONS)):
        tighten(one)


def tighten(path: Path) -> None:
    """Take group and other permissions from a file; log what was changed, and what cannot be changed."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) & ~MODE:
            path.chmod(stat.S_IMODE(mode) & MODE)
            log.info("%s was accessible to other users; its mode is %o now", path, stat.S_IMODE(mode) & MODE)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s is accessible to other users; its mode cannot be changed: %s", path, error.strerror)
