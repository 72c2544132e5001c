"""Work that a flood makes long, in slices: a few jobs in each turn of the loop, so that all others are served between
two of them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter

SLICE = 0.00025
"""Seconds of a turn of the loop that jobs may take, though one is always done."""

Job = Callable[[], object]


class Slices:
    """Jobs are done in their order. `attend` is called between two, and serves those who come first; `later` runs
    something in the loop's next turn.
    """

    __slots__ = ("_jobs", "_running", "attend", "later")

    def __init__(self, later: Callable[[Callable[[], None]], object], attend: Callable[[], object]) -> None:
        self.later = later
        self.attend = attend
        self._jobs: deque[Job] = deque()
        self._running = False

    def __repr__(self) -> str:
        return f"<Slices, {len(self._jobs)} jobs to do>"

    def add(self, jobs: Iterable[Job]) -> None:
        """Do these too; a first slice of them now, where no others come before."""
        self._jobs.extend(jobs)
        if self._jobs and not self._running:
            self._running = True
            self._slice()

    def _slice(self) -> None:
        """One that fails keeps no other from being done."""
        jobs, until = self._jobs, perf_counter() + SLICE
        try:
            while jobs:
                jobs.popleft()()
                if perf_counter() >= until:
                    return
                self.attend()
        finally:
            self._running = bool(jobs)
            if jobs:
                self.later(self._slice)

    def close(self) -> None:
        """Do none of what is left."""
        self._jobs.clear()
