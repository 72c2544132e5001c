"""The number of clients of the instance, in all and by address, counted across workers without messages.

Each worker writes its own numbers into shared memory and reads those of the others. They may be slightly out of date,
so a limit can be exceeded by the few connections that arrive at the same instant. A compromised worker can write
anything there: the others limit what they believe (`fair_share`).
"""

import mmap
import secrets
from hashlib import blake2b

# Words per worker: its clients, and those of them that may be evicted.
WORKER_WORDS = 2

WORKER_BYTES = 4 * WORKER_WORDS
COUNT_BYTES = 2
SECRET_BYTES = 16
# Addresses are counted in a count-min sketch: each in one cell of every row, of which the smallest is taken. With ten
# thousand addresses, one in twenty is counted one too many.
ROWS = 4
COLUMNS = 16_384

SKETCH_BYTES = ROWS * COLUMNS * COUNT_BYTES
MAX_COUNT = 2 ** (8 * COUNT_BYTES) - 1

Memory = mmap.mmap | bytearray


def memory_size(workers: int) -> int:
    """Bytes of memory that `workers` share. Pages that are never written to take no memory."""
    return SECRET_BYTES + workers * (WORKER_BYTES + SKETCH_BYTES)


def initial_memory(workers: int) -> bytes:
    """Initial content of the shared memory. Its secret prevents clients from finding addresses that share a cell."""
    return secrets.token_bytes(SECRET_BYTES) + bytes(workers * WORKER_BYTES)


class SharedConnectionCount:
    """One worker's view of the shared memory, in which its index is `slot`. Begins at 0."""

    def __init__(self, memory: Memory | None = None, slot: int = 0) -> None:
        memory = memory if memory is not None else bytearray(initial_memory(1) + bytes(SKETCH_BYTES))
        workers = (len(memory) - SECRET_BYTES) // (WORKER_BYTES + SKETCH_BYTES)
        whole = memoryview(memory)
        self._secret = bytes(whole[:SECRET_BYTES])
        words = whole[SECRET_BYTES : SECRET_BYTES + workers * WORKER_BYTES].cast("I")
        self._words, self._evictable = words[:workers], words[workers:]
        self._cells = whole[SECRET_BYTES + workers * WORKER_BYTES :].cast("H")
        self._slot = slot
        self._words[slot] = self._evictable[slot] = 0

    def __repr__(self) -> str:
        return f"<SharedConnectionCount {self.total}, {self._words[self._slot]} of them here>"

    def report(self, here: int) -> None:
        """Publish the number of clients of this worker."""
        self._words[self._slot] = here

    def report_evictable(self, idle: int) -> None:
        """Publish how many of them may be evicted."""
        self._evictable[self._slot] = idle

    @property
    def evictable_elsewhere(self) -> bool:
        """Whether another worker has a client that may be evicted."""
        return any(idle for slot, idle in enumerate(self._evictable) if slot != self._slot)

    def above_fair_share(self, arriving: int) -> bool:
        """Whether this worker has more than an equal share plus one, with `arriving` clients not counted yet."""
        words = self._words
        count = len(words)
        return count > 1 and (words[self._slot] + arriving - 1) * count > sum(words) + arriving

    @property
    def workers(self) -> int:
        """The number of workers."""
        return len(self._words)

    def fair_share(self, most: int) -> int:
        """The part of `most` clients of the instance that this worker serves whatever the others claim: seven eighths
        of an equal share. The rest compensates for differences between workers, so that the sum is not exceeded.
        """
        return most // self.workers * 7 // 8

    @property
    def total(self) -> int:
        """Clients of all workers."""
        return sum(self._words)

    # By address.

    def clear_sketch(self) -> None:
        """Count from zero, whatever a previous worker has left."""
        begin = self._slot * ROWS * COLUMNS
        self._cells[begin : begin + ROWS * COLUMNS] = memoryview(bytes(SKETCH_BYTES)).cast("H")

    def add_address(self, address: str, here: int) -> None:
        """Count one client of an address more (1) or less (-1) in this worker."""
        cells = self._cells
        for cell in self._cells_of(address, self._slot):
            cells[cell] = min(max(cells[cell] + here, 0), MAX_COUNT)

    def address_count_elsewhere(self, address: str) -> int:
        """Clients of an address in other workers: never too few, rarely one too many."""
        others = [slot for slot in range(self.workers) if slot != self._slot]
        if not others:
            return 0
        found = zip(*(self._cells_of(address, slot) for slot in others), strict=True)
        return min(sum(int(self._cells[cell]) for cell in row) for row in found)

    def _cells_of(self, address: str, slot: int) -> list[int]:
        # Keyed with the shared secret: clients cannot search for addresses that share cells.
        found = blake2b(address.encode(), key=self._secret, digest_size=ROWS * COUNT_BYTES).digest()
        begin = slot * ROWS * COLUMNS
        return [
            begin + row * COLUMNS + int.from_bytes(found[row * COUNT_BYTES : (row + 1) * COUNT_BYTES]) % COLUMNS
            for row in range(ROWS)
        ]
