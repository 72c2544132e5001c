"""TLS handshakes of a worker: when each begins, and which gives way where too many are under way.

Few begin in a turn of the loop, one at least, so that a flood of them does not hold up those who are served: a
signature takes up to a millisecond. Addresses take turns; where a line is long the newest comes first (adaptive LIFO),
since who has waited for long has given up. Where too many are under way, a newcomer whose address has none is let in at
once, and the one that has waited for longest gives way for it, of the address that has most of them: an honest client
needs one or two round trips. All others wait until one ends, or until `PACE` has passed since another gave way: a flood
comes back as fast as it is cut, and those that wait cost nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from canaryproxy.dataplane.eviction import ConnectionSlot, ConnectionSlots, Evictable

TURN_SECONDS = 0.0005
"""Seconds that a turn of the loop is to take while handshakes begin: with longer ones half as many begin, with shorter
ones one more."""

BATCH = 4
"""Handshakes that begin in a turn, at most."""

PACE = 0.02
"""Seconds from one handshake that gives way to the next, unless the newcomer's address has none under way."""

LONG_SECONDS = 32
"""Those of one address that may wait until the newest comes first."""


class HandshakeApplicant(Evictable, Protocol):
    """A connection that is to have a handshake."""

    client_group: str
    """What its address is counted by."""

    def begin(self) -> bool:
        """Its turn has come; False where the connection is gone."""


Line = OrderedDict[HandshakeApplicant, None]
"""Those of one address that wait, in their order. Any of them can leave it at any time."""


class HandshakeQueue:
    """At most `most` under way; `evicted` hears of each that gives way. Those of an address wait in one line; the
    addresses `without` any under way, unless theirs gave way, are the first where all places are taken.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int, evicted: Callable[[], None]) -> None:
        self._loop = loop
        self._most = most
        self._evicted = evicted
        self._at_once = 1
        self._began = 0.0
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._without: OrderedDict[str, None] = OrderedDict()
        self._due = 0.0
        self._under_way = ConnectionSlots(most)
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.Handle | None = None

    def __repr__(self) -> str:
        return f"<HandshakeQueue {self.under_way} of {self._most}, {self.waiting} waiting>"

    @property
    def under_way(self) -> int:
        """Handshakes that have begun."""
        return self._under_way.count

    @property
    def waiting(self) -> int:
        """Those whose turn will come."""
        return sum(map(len, self._lines.values()))

    def request(self, applicant: HandshakeApplicant) -> None:
        """Stand in line."""
        address = applicant.client_group
        self._lines.setdefault(address, OrderedDict())[applicant] = None
        if not self._under_way.count_of(address):
            self._without[address] = None
            self._hasten()
        if self._turn is None:
            self._at_once, self._began = 1, self._loop.time()
            self._turn = self._loop.call_soon(self._next)

    def _hasten(self) -> None:
        """Wait no longer for one to give way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._turn = None

    def withdraw(self, applicant: HandshakeApplicant) -> None:
        """It is gone, whether it stood in line or not: in a long line the oldest would never be looked at again."""
        line = self._lines.get(applicant.client_group)
        if line is not None and applicant in line:
            del line[applicant]
            if not line:
                self._end_line(applicant.client_group)

    def _next(self) -> None:
        """As many as the last turn's length allows."""
        before, self._began = self._began, self._loop.time()
        slow = self._began - before > TURN_SECONDS
        self._at_once = max(self._at_once // 2, 1) if slow else min(self._at_once + 1, BATCH)
        self._turn = self._timer = None
        begun = 0
        while self._lines and begun < self._at_once:
            if not self._may_begin():
                self._turn = self._timer = self._loop.call_later(PACE, self._next)
                return
            begun += self._pick().begin()
        if self._lines:
            self._turn = self._loop.call_soon(self._next)

    def _may_begin(self) -> bool:
        """Whether there is a place for the next one, or one may give way for it now."""
        if self._under_way.count < self._most or self._without:
            return True
        now = self._loop.time()
        if now < self._due:
            return False
        self._due = now + PACE
        return True

    def _pick(self) -> HandshakeApplicant:
        """One of the address that had its last turn before all others; where all places are taken, of those that have
        none under way.
        """
        full = self._under_way.count >= self._most
        address = next(iter(self._without if full and self._without else self._lines))
        line = self._lines[address]
        picked, _ = line.popitem(last=len(line) > LONG_SECONDS)
        if line:
            self._lines.move_to_end(address)
        else:
            self._end_line(address)
        return picked

    def _end_line(self, address: str) -> None:
        del self._lines[address]
        self._without.pop(address, None)

    def enter(self, applicant: HandshakeApplicant) -> ConnectionSlot:
        """One begins; the longest gives way for it where there are too many."""
        if self._under_way.count >= self._most and (slot := self._under_way.choose(self._loop.time())) is not None:
            self._under_way.release(slot)
            self._evicted()
            slot.owner.evict()
        self._without.pop(applicant.client_group, None)
        return self._under_way.take(applicant, applicant.client_group)

    def leave(self, slot: ConnectionSlot) -> None:
        """It has come to an end, one way or the other: the next one need not wait any longer."""
        self._under_way.release(slot)
        group = slot.group
        if group is not None and not group.count and group.key in self._lines:
            self._without[group.key] = None
        if self._timer is not None and self._under_way.count < self._most:
            self._hasten()
            self._turn = self._loop.call_soon(self._next)

    def close(self) -> None:
        """Stop: no more handshakes begin."""
        self._lines.clear()
        self._without.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = self._timer = None
