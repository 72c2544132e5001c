"""The memory that this process may use together with its siblings, and the share in use.

The limit is that of its cgroup (v2 or v1) or of an ancestor. Inside a container the cgroup's own path may not be
visible; its files are at the root then.

In use is what the kernel cannot reclaim. The page cache counts as the cgroup's memory and grows up to the limit if a
log is written, but the kernel drops it before the cgroup runs out. That holds for its active half as well, which
contains logs that are read again, to be shipped or compressed.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CGROUP = Path("/sys/fs/cgroup")
PROC_CGROUP = Path("/proc/self/cgroup")


class CgroupMemory(NamedTuple):
    """A cgroup with a memory limit, in bytes; the files with its limits, its usage, and what of that can be reclaimed
    (the `reclaimable` lines of `stat`).
    """

    limit: int
    limits: tuple[Path, ...]
    usage: Path
    stat: Path
    reclaimable: tuple[str, ...]

    def share(self) -> float:
        """The share of the limit in use; 0 if unknown or unlimited. The limit may change at any time."""
        limit = _tightest(self.limits)
        if not limit:
            return 0.0
        try:
            used = int(self.usage.read_text())
            lines = self.stat.read_text().splitlines()
        except (OSError, ValueError):
            return 0.0
        words = (line.split() for line in lines)
        spare = sum(int(word[1]) for word in words if len(word) == 2 and word[0] in self.reclaimable)
        return max(used - spare, 0) / limit


def physical() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cgroup_memory(root: Path = CGROUP, own: Path = PROC_CGROUP, most: int | None = None) -> CgroupMemory | None:
    """The tightest limit below the machine's memory (`most`), None without one."""
    found = [one for one in _cgroups(root, own) if one.limit < (physical() if most is None else most)]
    return min(found, default=None)


def _cgroups(root: Path, own: Path) -> Iterator[CgroupMemory]:
    paths = _own_paths(own)
    # v2 lists this process under the empty controller name, v1 under "memory".
    for directory in _upwards(root, paths.get("")):
        yield from _read_cgroup(directory, ("memory.max", "memory.high"), "memory.current", "")
    for directory in _upwards(root / "memory", paths.get("memory")):
        yield from _read_cgroup(directory, ("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_")


def _read_cgroup(directory: Path, names: tuple[str, ...], usage: str, prefix: str) -> Iterator[CgroupMemory]:
    """The cgroup of a directory, if limited. `memory.high` is a limit too: above it, processes are throttled."""
    limits = tuple(directory / name for name in names)
    limit = _tightest(limits)
    if limit:
        files = f"{prefix}inactive_file", f"{prefix}active_file"
        yield CgroupMemory(limit, limits, directory / usage, directory / "memory.stat", files)


def _tightest(limits: tuple[Path, ...]) -> int:
    """The least of these limits, 0 without one."""
    return min(filter(None, map(_number, limits)), default=0)


def _own_paths(own: Path) -> dict[str, str]:
    """The path of this process's cgroup by controller; v2 has the empty name."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split(":", 2) for line in lines]
    return {name: part[2] for part in parts if len(part) == 3 for name in part[1].split(",")}


def _upwards(root: Path, path: str | None) -> Iterator[Path]:
    """The cgroup's directory, and its ancestors up to the root."""
    at = root / (path or "").strip("/")
    while at != root and root in at.parents:
        yield at
        at = at.parent
    yield root


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
