"""Limits on concurrent readers: a queue that serves one at a time, and a quota per address.

Without the queue all pending reads would run in one turn of the event loop, and a change would wait for all of them.
The queue is short; further readers are refused with 503, so that memory stays bounded.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping

from canaryproxy.admin.problems import ApiError
from canaryproxy.control.controller import ChangePriority

# Length of the queue.
MAX_WAITING = 64

RETRY_AFTER_SECONDS = "1"


def too_many_readers(what: str, counts: MutableMapping[str, int]) -> ApiError:
    """The refusal of a reader, counted under `what`."""
    counts[what] = counts.get(what, 0) + 1
    return ApiError("too-many-readers", "retry in a second", headers={"Retry-After": RETRY_AFTER_SECONDS})


class FairQueue:
    """Serves readers of `what` one at a time. Refused readers are counted in `counts`."""

    def __init__(self, what: str, precedence: ChangePriority, counts: MutableMapping[str, int]) -> None:
        self._what = what
        self._precedence = precedence
        self._counts = counts
        self._lock = asyncio.Lock()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<FairQueue, {self._waiting} wait>"

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it until the end of the block. Raises `ApiError` if the queue is full."""
        if self._waiting >= MAX_WAITING:
            raise too_many_readers(self._what, self._counts)
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            await self._precedence.yield_to_changes()
            yield
            await asyncio.sleep(0)  # others run on the event loop before the next reader
        finally:
            self._lock.release()


class ReaderQuota:
    """At most `most` readers, `each` per address. Refused readers are counted in `counts`."""

    def __init__(self, what: str, most: int, each: int, counts: MutableMapping[str, int]) -> None:
        self._what = what
        self._most = most
        self._each = each
        self._counts = counts
        self._inside: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<ReaderQuota for {self._most}, {self._inside.total()} inside>"

    def full(self, address: str) -> bool:
        """Whether the address has used its share."""
        return self._inside[address] >= self._each

    @property
    def exhausted(self) -> bool:
        """Whether all places are taken."""
        return self._inside.total() >= self._most

    @contextlib.contextmanager
    def entered(self, address: str) -> Iterator[None]:
        """Take a place until the end of the block. Raises `ApiError` if there is none."""
        if self.full(address) or self.exhausted:
            raise too_many_readers(self._what, self._counts)
        self._inside[address] += 1
        try:
            yield
        finally:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]
