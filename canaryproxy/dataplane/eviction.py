"""Which connection is evicted when all slots are taken. Pure.

An address that holds many slots loses one of its own, the address with the most slots first; all others form one pool.
Within a pool, a client that owes something (a first request, the rest of a head, progress) is evicted before one that
is between two requests, then the one that is idle for longest. A new connection has `GRACE_SECONDS` seconds to send its
first request, unless such connections are the majority of the candidates: a flood of silent connections displaces
itself, not clients that have been served.

Nothing is done per request. A slot is filed by the time since when its owner was idle when last checked. That time can
only have become later, so the first in the heap that is still idle since then is idle for longest. The slot of a busy
connection is parked until its owner reports that it is idle again.
"""

import math
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

# The time since when a connection is idle that must not be evicted.
BUSY = math.inf

# Seconds that a new connection has for its first request while there are other candidates.
GRACE_SECONDS = 1.0

# Seconds of idleness before a connection may be evicted: a request may be on its way, and refusing a new connection is
# better than two that displace each other.
YOUNG_SECONDS = 0.1

# An address holds many slots from this fraction (1/LARGE) of all slots on.
LARGE = 64

# Slots that never count as many.
FEW = 4

# Stale heap entries tolerated, beside as many as are live: rebuilding for each removal would be O(n).
DEAD = 32

Entry = tuple[float, int, "ConnectionSlot"]


class Evictable(Protocol):
    """The owner of a slot."""

    def idle_since(self) -> float:
        """Since when it is idle; `BUSY` if it must not be evicted."""

    def owing(self) -> bool:
        """Whether it owes something, and so is evicted before those that owe nothing."""

    def evict(self) -> None:
        """Close the connection now. Its slot was released."""


class ConnectionSlot:
    """One slot. `owner` may change; `parked`: the owner was busy, and `ConnectionSlots.idle` ends that."""

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
    """Slots by the time since when they were idle. A removed slot stays in the heap until it is met there, or until
    half of the heap is stale.
    """

    __slots__ = ("_heap", "_number", "live")

    def __init__(self) -> None:
        self.live = 0
        self._heap: list[Entry] = []
        self._number = 0

    def __repr__(self) -> str:
        return f"<EvictionQueue of {self.live}>"

    def add(self, slot: ConnectionSlot, since: float) -> None:
        """File a slot that is in no queue."""
        self._number += 1
        slot.queue = self
        slot.entry = (since, self._number, slot)
        self.live += 1
        heappush(self._heap, slot.entry)

    def remove(self, slot: ConnectionSlot) -> None:
        """Remove a slot."""
        slot.queue = slot.entry = None
        self.live -= 1
        if len(self._heap) > 2 * self.live + DEAD:
            self._heap = [entry for entry in self._heap if entry[2].entry is entry]
            heapify(self._heap)

    def reorder(self, slot: ConnectionSlot, since: float) -> None:
        """The owner of the first slot has been idle only since `since`."""
        self._number += 1
        slot.entry = (since, self._number, slot)
        heapreplace(self._heap, slot.entry)

    def first(self) -> ConnectionSlot | None:
        """The slot with the earliest time."""
        heap = self._heap
        while heap:
            slot = heap[0][2]
            if slot.entry is heap[0]:
                return slot
            heappop(heap)
        return None


class EvictionPool:
    """The candidates among which one is chosen."""

    __slots__ = ("idle", "owing")

    def __init__(self) -> None:
        self.owing = EvictionQueue()
        self.idle = EvictionQueue()

    def __repr__(self) -> str:
        return f"<EvictionPool of {self.live}>"

    @property
    def live(self) -> int:
        """Slots that are not parked."""
        return self.owing.live + self.idle.live

    def add(self, slot: ConnectionSlot, since: float) -> None:
        """File a slot."""
        (self.owing if slot.owner.owing() else self.idle).add(slot, since)

    def choose(self, now: float, latest: float) -> ConnectionSlot | None:
        """The slot to evict, among those idle since `latest` or before."""
        self._longest(self.owing, latest)
        kept = self._longest(self.idle, latest)
        owing = self._longest(self.owing, latest)  # again: the search in `idle` may have moved slots there
        if owing is None or kept is None:
            return owing or kept
        waited = now - owing.owner.idle_since()
        return owing if waited >= GRACE_SECONDS or self.owing.live > self.idle.live else kept

    def _longest(self, queue: EvictionQueue, latest: float) -> ConnectionSlot | None:
        """The slot that is idle for longest, among those that belong into this queue."""
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
    """The slots of one address. `members` form a `pool` of their own when there are many."""

    __slots__ = ("count", "key", "members", "pool")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.pool: EvictionPool | None = None
        self.members: set[ConnectionSlot] = set()

    def __repr__(self) -> str:
        return f"<ClientGroup {self.key} of {self.count}>"


class ConnectionSlots:
    """All slots that are taken, of `most`, from which follows how many are many for one address. A connection idle for
    less than `young` seconds is not evicted.
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
        """Slots that an address holds."""
        group = self._groups.get(address)
        return 0 if group is None else group.count

    def take(self, holder: Evictable, address: str, *, shared: bool = False) -> ConnectionSlot:
        """Take a slot. `shared`: the address carries many clients, whose slots are not added up."""
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
        """Release a slot; may be called twice. Returns whether it was still taken."""
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
        """Make the slot of an owner that was busy a candidate again."""
        if slot.parked:
            slot.parked = False
            self._enqueue(slot)

    def choose(self, now: float) -> ConnectionSlot | None:
        """The slot to evict; None if all owners are busy. It stays taken until it is released."""
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
        """Move the slots of an address into the pool that it belongs to now."""
        filed = [(slot.entry[:2], slot.queue, slot) for slot in group.members if slot.queue and slot.entry]
        for _, queue, slot in sorted(filed, key=lambda one: one[0]):
            queue.remove(slot)
            self._enqueue(slot)
