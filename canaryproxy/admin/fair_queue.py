"""Readers take turns: one runs at a time, and others have the loop between two of them.

Without that, all who have asked by the time the loop looks are answered in one go, and a change waits for all of them.
Few may wait; more are refused at once, with 503, so that what waits takes no memory without bound.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping

from canaryproxy.admin.problems import ApiError
from canaryproxy.control.controller import ChangePriority

MAX_WAITING = 64
"""Readers that wait for their turn."""

RETRY_AFTER_SECONDS = "1"
"""Seconds after which those who are refused may ask again."""


def too_many_readers(what: str, counts: MutableMapping[str, int]) -> ApiError:
    """What one more is answered; it is counted."""
    counts[what] = counts.get(what, 0) + 1
    return ApiError("too-many-readers", "ask again in a second", headers={"Retry-After": RETRY_AFTER_SECONDS})


class FairQueue:
    """Turns of those who read `what`. Who is refused is counted in `counts`."""

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
        """It is one's turn until the end of the block. Raises `ApiError`."""
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
            await asyncio.sleep(0)
        finally:
            self._lock.release()


class ReaderQuota:
    """Room for `most`, of which one address may take `each`. Who is refused is counted in `counts`."""

    def __init__(self, what: str, most: int, each: int, counts: MutableMapping[str, int]) -> None:
        self._what = what
        self._most = most
        self._each = each
        self._counts = counts
        self._inside: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<ReaderQuota for {self._most}, {self._inside.total()} inside>"

    def full(self, address: str) -> bool:
        """Whether there is no room for one more of that address, no matter how many others there are."""
        return self._inside[address] >= self._each

    @property
    def has_waiters(self) -> bool:
        """Whether there is no room for anybody."""
        return self._inside.total() >= self._most

    @contextlib.contextmanager
    def entered(self, address: str) -> Iterator[None]:
        """Be inside until the end of the block. Raises `ApiError`."""
        if self._inside[address] >= self._each or self._inside.total() >= self._most:
            raise too_many_readers(self._what, self._counts)
        self._inside[address] += 1
        try:
            yield
        finally:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]
