"""Who gives way where all places are taken. Pure.

An address that holds many places gives one of its own, the one with most of them first; all others are one crowd. Of a
crowd, a client that owes us something (a first request, the rest of a head, progress) gives way before one that is
between two requests, then the one that is idle for longest. A newcomer has `GRACE_SECONDS` seconds to send its first
request, unless its kind is already the larger part of those who could give way: so a flood of silent connections
displaces itself, and not those who have proven themselves.

Nothing is done per request. A place is filed by when its holder was idle when it was last looked at; that can only have
become later, so the first in the heap that is still idle since then is the longest idle of all. One that is busy
is set aside until its holder says that it is idle again.
"""

import math
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

BUSY = math.inf
"""Since when a holder is idle that must not give way."""

GRACE_SECONDS = 1.0
"""Seconds that a newcomer has for its first request while there are others to give way."""

YOUNG_SECONDS = 0.1
"""Seconds of idleness before a connection may be evicted: a request may be on its way, and a newcomer that is refused
is better off than two that displace each other."""

LARGE = 64
"""An address holds many places from one in so many of all on."""

FEW = 4
"""Places that are never many."""

DEAD = 32
"""Entries of a heap that may be of no use any more, beside as many as are of use."""

Entry = tuple[float, int, "ConnectionSlot"]


class Evictable(Protocol):
    """Who holds a place."""

    def idle_since(self) -> float:
        """Since when it may give way; `BUSY` where it must not."""

    def owing(self) -> bool:
        """Whether it owes us something, so that it gives way before those who owe nothing."""

    def evict(self) -> None:
        """Close the connection now. The place was given up."""


class ConnectionSlot:
    """One place. `owner` may change; `parked`: it was found busy, and `Places.idle` says that it is not any more."""

    __slots__ = ("entry", "group", "owner", "parked", "queue")

    def __init__(self, holder: Evictable, group: "ClientGroup | None") -> None:
        self.owner = holder
        self.group = group
        self.parked = False
        self.entry: Entry | None = None
        self.queue: EvictionQueue | None = None

    def __repr__(self) -> str:
        return f"<ConnectionSlot of {self.owner!r}{' parked' if self.parked else ''}>"


class EvictionQueue:
    """Places by the time since when they were idle. What is taken out stays in the heap until it is met there, or until
    it is half of all.
    """

    __slots__ = ("_heap", "_number", "live")

    def __init__(self) -> None:
        self.live = 0
        self._heap: list[Entry] = []
        self._number = 0

    def __repr__(self) -> str:
        return f"<EvictionQueue of {self.live}>"

    def add(self, slot: ConnectionSlot, since: float) -> None:
        """File a place that is in no queue."""
        self._number += 1
        slot.queue = self
        slot.entry = (since, self._number, slot)
        self.live += 1
        heappush(self._heap, slot.entry)

    def remove(self, slot: ConnectionSlot) -> None:
        """Take a place out."""
        slot.queue = slot.entry = None
        self.live -= 1
        if len(self._heap) > 2 * self.live + DEAD:
            self._heap = [entry for entry in self._heap if entry[2].entry is entry]
            heapify(self._heap)

    def reorder(self, slot: ConnectionSlot, since: float) -> None:
        """The first place was idle only later."""
        self._number += 1
        slot.entry = (since, self._number, slot)
        heapreplace(self._heap, slot.entry)

    def first(self) -> ConnectionSlot | None:
        """Who is filed with the earliest time."""
        heap = self._heap
        while heap:
            slot = heap[0][2]
            if slot.entry is heap[0]:
                return slot
            heappop(heap)
        return None


class EvictionPool:
    """Those among whom one is chosen."""

    __slots__ = ("idle", "owing")

    def __init__(self) -> None:
        self.owing = EvictionQueue()
        self.idle = EvictionQueue()

    def __repr__(self) -> str:
        return f"<EvictionPool of {self.live}>"

    @property
    def live(self) -> int:
        """Places that are not parked."""
        return self.owing.live + self.idle.live

    def add(self, slot: ConnectionSlot, since: float) -> None:
        """File a place."""
        (self.owing if slot.owner.owing() else self.idle).add(slot, since)

    def choose(self, now: float, latest: float) -> ConnectionSlot | None:
        """Who gives way, of those that are idle since `latest` or before."""
        self._longest(self.owing, latest)
        kept = self._longest(self.idle, latest)
        owing = self._longest(self.owing, latest)  # those that looking through `kept` has put there are among them
        if owing is None or kept is None:
            return owing or kept
        waited = now - owing.owner.idle_since()
        return owing if waited >= GRACE_SECONDS or self.owing.live > self.idle.live else kept

    def _longest(self, queue: EvictionQueue, latest: float) -> ConnectionSlot | None:
        """Who is idle for longest, of those that belong into this queue."""
        while (slot := queue.first()) is not None:
            since, entry = slot.owner.idle_since(), slot.entry
            if since == BUSY:
                queue.remove(slot)
                slot.parked = True
            elif (self.owing if slot.owner.owing() else self.idle) is not queue:
                queue.remove(slot)
                self.add(slot, since)
            elif entry is not None and since > entry[0]:
                queue.reorder(slot, since)
            else:
                return slot if since <= latest else None
        return None


class ClientGroup:
    """The places of one address. `members` are listed while they are few, and have a `pool` of their own else."""

    __slots__ = ("count", "key", "members", "pool")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.pool: EvictionPool | None = None
        self.members: set[ConnectionSlot] = set()

    def __repr__(self) -> str:
        return f"<ClientGroup {self.key} of {self.count}>"


class ConnectionSlots:
    """All places that are taken. `most`: as many as there may be; how many are many for one address follows of it.
    A connection is not evicted that is idle for less than `young` seconds.
    """

    __slots__ = ("_big", "_common", "_groups", "_large", "_young", "count")

    def __init__(self, most: int, young: float = 0.0) -> None:
        self.count = 0
        self._young = young
        self._large = max(most // LARGE, FEW)
        self._common = EvictionPool()
        self._groups: dict[str, ClientGroup] = {}
        self._big: set[ClientGroup] = set()

    def __repr__(self) -> str:
        return f"<ConnectionSlots {self.count} taken by {len(self._groups)} addresses, {len(self._big)} with many>"

    def count_of(self, address: str) -> int:
        """Places that an address holds."""
        group = self._groups.get(address)
        return 0 if group is None else group.count

    def take(self, holder: Evictable, address: str, *, shared: bool = False) -> ConnectionSlot:
        """Take a place. `shared`: the address stands for many clients, whose places are not added up."""
        group = None if shared else self._groups.get(address) or ClientGroup(address)
        slot = ConnectionSlot(holder, group)
        self.count += 1
        self._enqueue(slot)
        if group is not None:
            self._groups[address] = group
            group.count += 1
            group.members.add(slot)
            if group.pool is None and group.count >= self._large:
                group.pool = EvictionPool()
                self._big.add(group)
                self._move(group)
        return slot

    def release(self, slot: ConnectionSlot) -> bool:
        """Give a place up; once is enough. Whether it was still taken."""
        if slot.queue is not None:
            slot.queue.remove(slot)
        elif not slot.parked:
            return False
        slot.parked = False
        self.count -= 1
        if slot.group is not None:
            self._leave_group(slot, slot.group)
        return True

    def _leave_group(self, slot: ConnectionSlot, group: ClientGroup) -> None:
        group.count -= 1
        group.members.discard(slot)
        if not group.count:
            del self._groups[group.key]
            self._big.discard(group)
        elif group.pool is not None and group.count <= self._large // 2:
            group.pool = None
            self._big.discard(group)
            self._move(group)

    def idle(self, slot: ConnectionSlot) -> None:
        """A holder that was found busy may give way again."""
        if slot.parked:
            slot.parked = False
            self._enqueue(slot)

    def choose(self, now: float) -> ConnectionSlot | None:
        """Who gives way; None where all are busy. It keeps its place until it leaves."""
        for group in sorted(self._big, key=lambda group: group.count, reverse=True):
            if group.pool is not None and (slot := group.pool.choose(now, now - self._young)) is not None:
                return slot
        return self._common.choose(now, now - self._young)

    def _enqueue(self, slot: ConnectionSlot) -> None:
        since = slot.owner.idle_since()
        if since == BUSY:
            slot.parked = True
            return
        pool = self._common if slot.group is None else slot.group.pool or self._common
        pool.add(slot, since)

    def _move(self, group: ClientGroup) -> None:
        """The places of an address go into another crowd."""
        filed = [(slot.entry[:2], slot.queue, slot) for slot in group.members if slot.queue and slot.entry]
        for _, queue, slot in sorted(filed, key=lambda one: one[0]):
            queue.remove(slot)
            self._enqueue(slot)
