"""A cgroup with a memory limit, version 1 or 2, removed at the end. Where none can be made, that is said."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes at most, kills for lack of memory, how often the limit was met, and bytes in buffers of TCP sockets:
    version 1 counts them apart (at most), version 2 in the peak.
    """

    peak: int
    kills: int
    met: int
    sockets: int


class Group:
    """A folder of the memory controller."""

    def __init__(self, folder: Path, *, second: bool) -> None:
        self._folder, self._second = folder, second

    @property
    def door(self) -> Path:
        """The file that takes process ids."""
        return self._folder / "cgroup.procs"

    def use(self) -> Use:
        """What was used so far."""
        if self._second:
            events = _pairs(self._folder / "memory.events")
            return Use(_number(self._folder / "memory.peak"), events.get("oom_kill", 0), events.get("max", 0), 0)
        return Use(
            _number(self._folder / "memory.max_usage_in_bytes"),
            _pairs(self._folder / "memory.oom_control").get("oom_kill", 0),
            _number(self._folder / "memory.failcnt"),
            _number(self._folder / "memory.kmem.tcp.max_usage_in_bytes"),
        )

    def members(self) -> list[int]:
        """Processes in it."""
        return [int(one) for one in self.door.read_text().split()]


@contextlib.contextmanager
def group(name: str, limit: int | None) -> Iterator[Group | None]:
    """A cgroup with this limit; `None` where none may be made. It must be empty at the end."""
    made = _make(name, limit)
    if made is None:
        yield None
        return
    folder, second = made
    try:
        yield Group(folder, second=second)
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def _make(name: str, limit: int | None) -> tuple[Path, bool] | None:
    first = ROOT / "memory"
    second = not (first / "memory.limit_in_bytes").exists()
    if second and "memory" not in _words(ROOT / "cgroup.controllers"):
        return None
    folder = (ROOT if second else first) / f"{name}-{os.getpid()}"
    try:
        if second and "memory" not in _words(ROOT / "cgroup.subtree_control"):
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        folder.mkdir()
    except OSError:
        return None
    if not second:
        with contextlib.suppress(OSError):  # they are counted only where they have a limit
            (folder / "memory.kmem.tcp.limit_in_bytes").write_text(str(1 << 40))
    try:
        if limit is not None:
            (folder / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit))
            with contextlib.suppress(OSError):  # no swap on this machine, or not accounted
                (folder / ("memory.swap.max" if second else "memory.memsw.limit_in_bytes")).write_text(
                    "0" if second else str(limit)
                )
    except OSError:
        folder.rmdir()
        return None
    return folder, second


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except OSError:
        return 0


def _pairs(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    words = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) == 2}
