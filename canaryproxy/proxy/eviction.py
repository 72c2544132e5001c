"""Who gives way where all places are taken. Pure.

An address that holds many places gives one of its own, the one with most of them first; all others are one crowd. Of a
crowd, a client that owes us something (a first request, the rest of a head, progress) gives way before one that is
between two requests, then the one that is idle for longest. A newcomer has `GRACE` seconds to send its first request,
unless its kind is already the larger part of those who could give way: so a flood of silent connections displaces
itself, and not those who have proven themselves.

Nothing is done per request. A place is filed by when its holder was idle when it was last looked at; that can only have
become later, so whoever is first in the heap and is still idle since then is the longest idle of all. One that is busy
is set aside until its holder says that it is idle again.
"""

import math
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

BUSY = math.inf
"""Since when a holder is idle that must not give way."""

GRACE = 1.0
"""Seconds that a newcomer has for its first request while there are others to give way."""

YOUNG = 0.1
"""Seconds of idleness in which nobody gives way: a request may be on its way, and a newcomer that is refused is better
off than two that displace each other."""

LARGE = 64
"""An address holds many places from one in so many of all on."""

FEW = 4
"""Places that are never many."""

DEAD = 32
"""Entries of a heap that may be of no use any more, beside as many as are of use."""

Entry = tuple[float, int, "Place"]


class Holder(Protocol):
    """Who holds a place."""

    def idle_since(self) -> float:
        """Since when it may give way; `BUSY` where it must not."""

    def owing(self) -> bool:
        """Whether it owes us something, so that it gives way before those who owe nothing."""

    def give_way(self) -> None:
        """Close the connection now. The place was given up."""


class Place:
    """One place. `holder` may change; `parked`: it was found busy, and `Places.idle` says that it is not any more."""

    __slots__ = ("entry", "group", "holder", "parked", "queue")

    def __init__(self, holder: Holder, group: "Group | None") -> None:
        self.holder = holder
        self.group = group
        self.parked = False
        self.entry: Entry | None = None
        self.queue: Queue | None = None

    def __repr__(self) -> str:
        return f"<Place of {self.holder!r}{' parked' if self.parked else ''}>"


class Queue:
    """Places by the time since when they were idle. What is taken out stays in the heap until it is met there, or until
    it is half of all.
    """

    __slots__ = ("_heap", "_number", "live")

    def __init__(self) -> None:
        self.live = 0
        self._heap: list[Entry] = []
        self._number = 0

    def __repr__(self) -> str:
        return f"<Queue of {self.live}>"

    def add(self, place: Place, since: float) -> None:
        """File a place that is in no queue."""
        self._number += 1
        place.queue = self
        place.entry = (since, self._number, place)
        self.live += 1
        heappush(self._heap, place.entry)

    def remove(self, place: Place) -> None:
        """Take a place out."""
        place.queue = place.entry = None
        self.live -= 1
        if len(self._heap) > 2 * self.live + DEAD:
            self._heap = [entry for entry in self._heap if entry[2].entry is entry]
            heapify(self._heap)

    def refile(self, place: Place, since: float) -> None:
        """The first place was idle only later."""
        self._number += 1
        place.entry = (since, self._number, place)
        heapreplace(self._heap, place.entry)

    def first(self) -> Place | None:
        """Who is filed with the earliest time."""
        heap = self._heap
        while heap:
            place = heap[0][2]
            if place.entry is heap[0]:
                return place
            heappop(heap)
        return None


class Crowd:
    """Those among whom one is chosen."""

    __slots__ = ("kept", "owing")

    def __init__(self) -> None:
        self.owing = Queue()
        self.kept = Queue()

    def __repr__(self) -> str:
        return f"<Crowd of {self.live}>"

    @property
    def live(self) -> int:
        """Places that are not parked."""
        return self.owing.live + self.kept.live

    def add(self, place: Place, since: float) -> None:
        """File a place."""
        (self.owing if place.holder.owing() else self.kept).add(place, since)

    def choose(self, now: float, latest: float) -> Place | None:
        """Who gives way, of those that are idle since `latest` or before."""
        self._longest(self.owing, latest)
        kept = self._longest(self.kept, latest)
        owing = self._longest(self.owing, latest)  # those that looking through `kept` has put there are among them
        if owing is None or kept is None:
            return owing or kept
        waited = now - owing.holder.idle_since()
        return owing if waited >= GRACE or self.owing.live > self.kept.live else kept

    def _longest(self, queue: Queue, latest: float) -> Place | None:
        """Who is idle for longest, of those that belong into this queue."""
        while (place := queue.first()) is not None:
            since, entry = place.holder.idle_since(), place.entry
            if since == BUSY:
                queue.remove(place)
                place.parked = True
            elif (self.owing if place.holder.owing() else self.kept) is not queue:
                queue.remove(place)
                self.add(place, since)
            elif entry is not None and since > entry[0]:
                queue.refile(place, since)
            else:
                return place if since <= latest else None
        return None


class Group:
    """The places of one address. `members` are listed while they are few, and have a `crowd` of their own else."""

    __slots__ = ("count", "crowd", "key", "members")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.crowd: Crowd | None = None
        self.members: set[Place] = set()

    def __repr__(self) -> str:
        return f"<Group {self.key} of {self.count}>"


class Places:
    """All places that are taken. `most`: as many as there may be; how many are many for one address follows of it.
    Nobody gives way who is idle for less than `young` seconds.
    """

    __slots__ = ("_big", "_crowd", "_groups", "_large", "_young", "count")

    def __init__(self, most: int, young: float = 0.0) -> None:
        self.count = 0
        self._young = young
        self._large = max(most // LARGE, FEW)
        self._crowd = Crowd()
        self._groups: dict[str, Group] = {}
        self._big: set[Group] = set()

    def __repr__(self) -> str:
        return f"<Places {self.count} taken by {len(self._groups)} addresses, {len(self._big)} with many>"

    def of(self, address: str) -> int:
        """Places that an address holds."""
        group = self._groups.get(address)
        return 0 if group is None else group.count

    def enter(self, holder: Holder, address: str, *, shared: bool = False) -> Place:
        """Take a place. `shared`: the address stands for many clients, whose places are not added up."""
        group = None if shared else self._group(address)
        place = Place(holder, group)
        self.count += 1
        self._file(place)
        if group is not None:
            group.count += 1
            group.members.add(place)
            if group.crowd is None and group.count >= self._large:
                group.crowd = Crowd()
                self._big.add(group)
                self._move(group, group.crowd)
        return place

    def leave(self, place: Place) -> bool:
        """Give a place up; once is enough. Whether it was still taken."""
        if place.queue is not None:
            place.queue.remove(place)
        elif not place.parked:
            return False
        place.parked = False
        self.count -= 1
        if place.group is not None:
            self._leave_group(place, place.group)
        return True

    def _leave_group(self, place: Place, group: Group) -> None:
        group.count -= 1
        group.members.discard(place)
        if not group.count:
            del self._groups[group.key]
            self._big.discard(group)
        elif group.crowd is not None and group.count <= self._large // 2:
            group.crowd = None
            self._big.discard(group)
            self._move(group, self._crowd)

    def idle(self, place: Place) -> None:
        """A holder that was found busy may give way again."""
        if place.parked:
            place.parked = False
            self._file(place)

    def choose(self, now: float) -> Place | None:
        """Who gives way; None where all are busy. It keeps its place until it leaves."""
        for group in sorted(self._big, key=_size, reverse=True):
            if group.crowd is not None and (place := group.crowd.choose(now, now - self._young)) is not None:
                return place
        return self._crowd.choose(now, now - self._young)

    def _group(self, address: str) -> Group:
        group = self._groups.get(address)
        if group is None:
            group = self._groups[address] = Group(address)
        return group

    def _file(self, place: Place) -> None:
        since = place.holder.idle_since()
        if since == BUSY:
            place.parked = True
            return
        crowd = self._crowd if place.group is None else place.group.crowd or self._crowd
        crowd.add(place, since)

    def _move(self, group: Group, crowd: Crowd) -> None:
        """The places of an address go into another crowd."""
        filed = [(place.entry[:2], place.queue, place) for place in group.members if place.queue and place.entry]
        for _, queue, place in sorted(filed, key=_when):
            queue.remove(place)
            since = place.holder.idle_since()
            if since == BUSY:
                place.parked = True
            else:
                crowd.add(place, since)


def _when(filed: tuple[tuple[float, int], Queue, Place]) -> tuple[float, int]:
    return filed[0]


def _size(group: Group) -> int:
    return group.count
