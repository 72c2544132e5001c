"""Who may stay connected to a listener of the control plane, and who gives way. Pure.

A connection is idle until its request head is complete, and again after its answer. Where all places are taken, the
one that has been idle for longest gives way, of the address that has the most connections. No address has more than
its share, and requests under way never take all places, so that a newcomer always finds one. Where no more requests
may be under way, the one whose client has not taken its answer for longest gives way.
"""

import itertools
from typing import Generic, TypeVar

T = TypeVar("T")


class _Address(Generic[T]):
    """The connections of one address: how many, how many of them busy, and those that are idle, longest first."""

    __slots__ = ("busy", "idle", "name", "rank", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = self.busy = self.rank = 0
        self.idle: dict[T, None] = {}


class ControlSlots(Generic[T]):
    """Room for `most` connections, with requests under way on at most `busy` of them. An address has at most `share`
    of the places and `busy_share` of the requests.
    """

    def __init__(self, most: int, busy: int, share: int, busy_share: int) -> None:
        self._most = most
        self._most_busy = busy
        self._share = share
        self._busy_share = busy_share
        self._of: dict[T, _Address[T]] = {}
        self._addresses: dict[str, _Address[T]] = {}
        self._idle: dict[T, float] = {}
        self._stalled: dict[T, float] = {}
        self._ranks: list[dict[str, _Address[T]]] = [{} for _ in range(most + 2)]
        self._top = 0

    def __repr__(self) -> str:
        return f"<ControlSlots {len(self)} of {self._most}, {len(self) - len(self._idle)} of them busy>"

    def __len__(self) -> int:
        return len(self._of)

    def take(self, one: T, address: str, now: float) -> T | None:
        """`one` has connected. Which connection has to end for it: none, another, or itself where nothing gives way."""
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
        """Whether there is no room for one more of this address but the place of another of it, or of one that is as
        big, or it has its equal part of all places already.
        """
        mine = self._addresses.get(address)
        if mine is None:
            return False
        if mine.total >= self._share:
            return True
        big = mine.total >= self._top or mine.total * len(self._addresses) >= self._most
        return big and len(self._of) >= self._most

    def begin(self, one: T) -> T | None:
        """A request of `one` is under way. Which connection has to end for it, as `take`; itself is not removed."""
        mine = self._of.get(one)
        if mine is None or one not in self._idle:
            return None
        victim: T | None = None
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
        """The answer of `one` is made; it is idle again, since now."""
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
        """The client of `one` does not take its answer, for now."""
        if one in self._of:
            self._stalled.setdefault(one, now)

    def flow(self, one: T, now: float) -> None:
        """It takes it again. Where the answer is made already, it is idle since now."""
        if self._stalled.pop(one, None) is not None and one in self._idle:
            self.end(one, now)

    def release(self, one: T) -> None:
        """It is gone. Nothing happens where it is so already."""
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
        """Those that have been idle from before `moment` on; they are gone now."""
        found = list(itertools.takewhile(lambda one: self._idle[one] <= moment, self._idle))
        for one in found:
            self.release(one)
        return found

    def stalled_since(self, moment: float) -> list[T]:
        """Those whose clients have not taken their answers from before `moment` on."""
        return list(itertools.takewhile(lambda one: self._stalled[one] <= moment, self._stalled))

    def free_slots(self, most: int) -> list[T]:
        """The longest idle, where descriptors have run out; they are gone now."""
        found = list(self._idle)[:most]
        for one in found:
            self.release(one)
        return found

    def _longest_idle(self, otherwise: T) -> T:
        """Of the address that has the most, among those that have an idle one."""
        if not self._top:
            return otherwise
        return next(iter(next(iter(self._ranks[self._top].values())).idle))

    def _rank(self, mine: _Address[T]) -> None:
        """Where it stands among the addresses that have an idle connection: by how many connections it has. So the
        biggest is found without a search, however many addresses there are.
        """
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
