"""Long work in slices: a few jobs in each turn of the loop, so that established connections are served in between."""

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter

# Seconds of a turn of the loop that jobs may take; at least one job is done.
SLICE = 0.00025

Job = Callable[[], object]


class Slices:
    """Jobs are done in order. `attend` is called between two and serves preferred connections; `later` calls a function
    in the next turn of the loop.
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
        """Add jobs; a first slice of them is done now, unless others are waiting."""
        self._jobs.extend(jobs)
        if self._jobs and not self._running:
            self._running = True
            self._slice()

    def _slice(self) -> None:
        """A job that fails does not prevent the others."""
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
        """Drop all remaining jobs."""
        self._jobs.clear()
