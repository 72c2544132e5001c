"""Detects changes of the config file and of the files it refers to. Content decides; it is read when the file's
identity has changed.

Polling `stat` through symbolic links sees every way a file is replaced: written in place, renamed over (editors), or
swapped by a link two levels up, as Kubernetes does with `..data` of a mounted ConfigMap.
"""

import hashlib
import stat
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple


class Change(Enum):
    """The result of a poll, compared with the one before."""

    NONE = "none"
    CONTENT = "content"
    VANISHED = "vanished"


class FileSnapshot(NamedTuple):
    """Identity (`stat`) and content digest of a file at a poll. None where it is missing."""

    identity: tuple[int, int, int, int] | None
    digest: bytes | None


MISSING = FileSnapshot(None, None)

# Stands for the content of a pipe or device: reading it consumes the content, and may block.
NO_CONTENT = b""


def compare(before: FileSnapshot, after: FileSnapshot) -> Change:
    """The change between two snapshots. A file that comes back with the same content has not changed."""
    if after.identity is None:
        return Change.NONE if before.identity is None else Change.VANISHED
    return Change.NONE if after.digest == before.digest else Change.CONTENT


class Watch:
    """Polls one file. The content last seen is remembered while the file is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sight = self._look(MISSING)
        self._digest = self._sight.digest

    def poll(self) -> Change:
        """Poll once. Blocks for one `stat`, and one read where that differs."""
        before, self._sight = self._sight, self._look(self._sight)
        change = compare(before._replace(digest=self._digest), self._sight)
        if self._sight.digest is not None:
            self._digest = self._sight.digest
        return change

    def _look(self, before: FileSnapshot) -> FileSnapshot:
        try:
            status = self._path.stat()
            if not stat.S_ISREG(status.st_mode):
                return FileSnapshot((status.st_dev, status.st_ino, 0, 0), NO_CONTENT)
            identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if identity == before.identity:
                return before
            return FileSnapshot(identity, hashlib.sha256(self._path.read_bytes()).digest())
        except OSError:
            return MISSING


class Watches:
    """Polls a set of files that changes with the config. `changed`: one had new content at the last poll."""

    def __init__(self) -> None:
        self._watches: dict[Path, Watch] = {}
        self.changed = False

    def poll(self, paths: Iterable[Path]) -> list[Path]:
        """Poll these files; returns those that have vanished since the last poll. A new file is only remembered."""
        wanted = list(paths)
        changes = {path: self._watches[path].poll() for path in wanted if path in self._watches}
        self._watches = {path: self._watches.get(path) or Watch(path) for path in wanted}
        self.changed = Change.CONTENT in changes.values()
        return [path for path, change in changes.items() if change is Change.VANISHED]
