"""Connection slots of a control plane listener: admission and eviction. Pure.

A connection is idle until its request head is complete, and again after its response. When all slots are taken, the
longest idle connection of the address with the most connections is evicted. No address gets more than its share, and
requests in flight never take all slots, so that a newcomer always finds a slot. When the limit of requests in flight
is reached, the connection whose client has not read its response for longest is evicted.
"""

import itertools
from typing import Generic, TypeVar

T = TypeVar("T")

# If all slots change hands within this time, a silent newcomer would be evicted before it sends: it is refused.
TURNOVER_SECONDS = 0.25

# Parts of `TURNOVER_SECONDS`. One part decides: a flood overflows the accept queue within 0.1 s.
STRETCHES = 5

STRETCH_SECONDS = TURNOVER_SECONDS / STRETCHES


class _Address(Generic[T]):
    """The connections of one address: total, busy, and the idle ones, longest idle first."""

    __slots__ = ("busy", "idle", "name", "rank", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = self.busy = self.rank = 0
        self.idle: dict[T, None] = {}


class ControlSlots(Generic[T]):
    """Slots for `most` connections and `busy` requests in flight; `share` and `busy_share` of them per address."""

    def __init__(self, most: int, busy: int, share: int, busy_share: int) -> None:
        self._most = most
        self._most_busy = busy
        self._share = share
        self._busy_share = busy_share
        self._of: dict[T, _Address[T]] = {}
        self._addresses: dict[str, _Address[T]] = {}
        self._idle: dict[T, float] = {}
        self._stalled: dict[T, float] = {}
        # By number of connections: addresses that have an idle one. `_top` is the highest that is not empty.
        self._ranks: list[dict[str, _Address[T]]] = [{} for _ in range(most + 2)]
        self._top = 0

    def __repr__(self) -> str:
        return f"<ControlSlots {len(self)} of {self._most}, {len(self) - len(self._idle)} of them busy>"

    def __len__(self) -> int:
        return len(self._of)

    def take(self, one: T, address: str, now: float) -> T | None:
        """Take a slot for `one`. Returns the connection to close: None, another one, or `one` if no other is idle."""
        mine = self._addresses.get(address)
        victim = None
        if mine is not None and mine.total >= self._share:
            victim = next(iter(mine.idle), one)
        elif len(self._of) >= self._most:
            victim = self._longest_idle(one)
        if victim is one:
            return one
        if victim is not None:
            self.release(victim)
        mine = self._addresses.get(address)
        if mine is None:
            mine = self._addresses[address] = _Address(address)
        mine.total += 1
        mine.idle[one] = None
        self._of[one] = mine
        self._idle[one] = now
        self._rank(mine)
        return victim

    def exceeds_share(self, address: str) -> bool:
        """Whether a newcomer of this address could only replace a connection of the same address or of one as large, or
        the address already has an equal part of all slots.
        """
        mine = self._addresses.get(address)
        if mine is None:
            return False
        if mine.total >= self._share:
            return True
        big = mine.total >= self._top or mine.total * len(self._addresses) >= self._most
        return big and len(self._of) >= self._most

    def begin(self, one: T) -> T | None:
        """Start a request of `one`. Returns the connection to close for it, as `take`; `one` itself keeps its slot."""
        mine = self._of.get(one)
        if mine is None or one not in self._idle:
            return None
        victim: T | None = None
        # A stalled connection may be idle already: its response is complete but not read.
        stalled = (other for other in self._stalled if other not in self._idle)
        if mine.busy >= self._busy_share:
            victim = next((other for other in stalled if self._of[other] is mine), one)
        elif len(self._of) - len(self._idle) >= self._most_busy:
            victim = next(stalled, one)
        if victim is one:
            return one
        if victim is not None:
            self.release(victim)
        del self._idle[one]
        del mine.idle[one]
        mine.busy += 1
        self._rank(mine)
        return victim

    def end(self, one: T, now: float) -> None:
        """The response of `one` is complete; it is idle since `now`."""
        mine = self._of.get(one)
        if mine is None:
            return
        if one in self._idle:
            del self._idle[one]
            del mine.idle[one]
        else:
            mine.busy -= 1
        self._idle[one] = now
        mine.idle[one] = None
        self._rank(mine)

    def stall(self, one: T, now: float) -> None:
        """The client of `one` stopped reading its response."""
        if one in self._of:
            self._stalled.setdefault(one, now)

    def flow(self, one: T, now: float) -> None:
        """The client reads again. If the response is complete, the connection is idle since `now`."""
        if self._stalled.pop(one, None) is not None and one in self._idle:
            self.end(one, now)

    def release(self, one: T) -> None:
        """Free the slot of `one`; idempotent."""
        mine = self._of.pop(one, None)
        if mine is None:
            return
        self._stalled.pop(one, None)
        if self._idle.pop(one, None) is None:
            mine.busy -= 1
        else:
            del mine.idle[one]
        mine.total -= 1
        self._rank(mine)
        if not mine.total:
            del self._addresses[mine.name]

    def idle_since(self, moment: float) -> list[T]:
        """Release the connections that are idle since `moment` or longer, and return them."""
        found = list(itertools.takewhile(lambda one: self._idle[one] <= moment, self._idle))
        for one in found:
            self.release(one)
        return found

    def stalled_since(self, moment: float) -> list[T]:
        """Connections whose clients have not read since `moment` or longer."""
        return list(itertools.takewhile(lambda one: self._stalled[one] <= moment, self._stalled))

    def free_slots(self, most: int) -> list[T]:
        """Release up to `most` connections, longest idle first, and return them: file descriptors have run out."""
        found = list(self._idle)[:most]
        for one in found:
            self.release(one)
        return found

    def _longest_idle(self, otherwise: T) -> T:
        """The longest idle connection of the largest address that has an idle one; else `otherwise`."""
        if not self._top:
            return otherwise
        return next(iter(next(iter(self._ranks[self._top].values())).idle))

    def _rank(self, mine: _Address[T]) -> None:
        """File an address under its number of connections if any is idle: the largest is found without a search."""
        rank = mine.total if mine.idle else 0
        if rank != mine.rank:
            if mine.rank:
                del self._ranks[mine.rank][mine.name]
            if rank:
                self._ranks[rank][mine.name] = mine
            mine.rank = rank
            self._top = max(self._top, rank)
        while self._top and not self._ranks[self._top]:
            self._top -= 1


class Turnover:
    """Counts connections that were evicted for a newcomer or refused in its place, to detect a flood."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._since = 0.0
        self._count = 0
        self._before = 0

    def __repr__(self) -> str:
        return f"<Turnover {self._before} in {STRETCH_SECONDS} s, of {self._places} places>"

    def add(self, now: float, count: int = 1) -> None:
        """Count `count` more at time `now`."""
        self._turn(now)
        self._count += count

    def whole(self, now: float) -> bool:
        """Whether all slots would change hands within `TURNOVER_SECONDS`, by the rate of this or the last stretch."""
        self._turn(now)
        return max(self._before, self._count) * STRETCHES >= self._places

    def _turn(self, now: float) -> None:
        """Start a new stretch where the last one is over."""
        if now - self._since >= STRETCH_SECONDS:
            self._before = self._count if now - self._since < 2 * STRETCH_SECONDS else 0
            self._since, self._count = now, 0
