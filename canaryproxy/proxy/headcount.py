"""How many clients the whole instance serves, counted across workers without asking anybody.

Each worker writes its own number into a word of memory that all of them share and reads the others'. Numbers may
be a moment old, so a limit can be missed by the few connections that arrive at the same instant.
"""

import mmap

WORD = 4


class Headcount:
    """One worker's view: `memory` holds a word for each worker, `slot` is this one's. Begins at 0."""

    def __init__(self, memory: mmap.mmap | bytearray | None = None, slot: int = 0) -> None:
        self._words = memoryview(memory if memory is not None else bytearray(WORD)).cast("I")
        self._slot = slot
        self._words[slot] = 0

    def __repr__(self) -> str:
        return f"<Headcount {self.total}, {self._words[self._slot]} of them here>"

    def report(self, here: int) -> None:
        """This worker serves so many."""
        self._words[self._slot] = here

    def ahead(self, arriving: int) -> bool:
        """Whether more than a fair share and one are here, with so many who are not counted yet."""
        words = self._words
        count = len(words)
        return count > 1 and (words[self._slot] + arriving - 1) * count > sum(words) + arriving

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._words)

    def fair(self, most: int) -> int:
        """Of so many clients of the instance, those that this worker serves whatever the others claim: seven eighths of
        an equal share. The rest is for differences between workers, so that the sum is kept.
        """
        return most // self.workers * 7 // 8

    @property
    def total(self) -> int:
        """Clients of all workers."""
        return sum(self._words)
