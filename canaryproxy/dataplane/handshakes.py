"""Schedules the TLS handshakes of a worker, and evicts some when too many are under way.

Only a few begin in one turn of the loop, so that a flood does not delay established clients: a signature takes up to a
millisecond. Addresses take turns. In a long queue the newest comes first (adaptive LIFO), since clients that have
waited for long have given up. When too many are under way, a new connection whose address has none begins at once, and
the oldest handshake of the address with the most is evicted: an honest client needs one or two round trips. All others
wait until a handshake ends, or until `PACE` has passed since the last eviction: a flood reconnects as fast as it is
cut, and waiting connections cost nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from canaryproxy.dataplane.eviction import ConnectionSlot, ConnectionSlots, Evictable

# Seconds of a turn of the loop: after a longer turn half as many handshakes begin, after a shorter one one more.
TURN_SECONDS = 0.0005

# Handshakes begun in one turn, at most.
BATCH = 4

# Seconds from one eviction to the next, unless the new connection's address has no handshake under way.
PACE = 0.02

# Waiting connections of one address from which on the newest comes first.
LONG_LINE = 32


class HandshakeApplicant(Evictable, Protocol):
    """A connection that waits for a handshake."""

    client_group: str
    """The key by which its address is counted."""

    def begin(self) -> bool:
        """Begin the handshake; returns False if the connection is gone."""


# The waiting connections of one address, in order. Any of them may leave at any time.
Line = OrderedDict[HandshakeApplicant, None]


class HandshakeQueue:
    """At most `most` handshakes are under way; `evicted` is called for each eviction. `_without`: addresses with no
    handshake under way, which come first when all slots are taken.
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
        """Connections that wait for their turn."""
        return sum(map(len, self._lines.values()))

    def request(self, applicant: HandshakeApplicant) -> None:
        """Queue a connection."""
        address = applicant.client_group
        self._lines.setdefault(address, OrderedDict())[applicant] = None
        if not self._under_way.count_of(address):
            self._without[address] = None
            self._hasten()
        if self._turn is None:
            self._at_once, self._began = 1, self._loop.time()
            self._turn = self._loop.call_soon(self._next)

    def _hasten(self) -> None:
        """Do not wait for the next eviction."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._turn = None

    def withdraw(self, applicant: HandshakeApplicant) -> None:
        """Remove a connection that is gone, queued or not: in a long queue the oldest would never be reached again."""
        line = self._lines.get(applicant.client_group)
        if line is not None and applicant in line:
            del line[applicant]
            if not line:
                self._end_line(applicant.client_group)

    def _next(self) -> None:
        """Begin as many as the length of the last turn allows."""
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
        """Whether a slot is free for the next handshake, or one may be evicted for it now."""
        if self._under_way.count < self._most or self._without:
            return True
        now = self._loop.time()
        if now < self._due:
            return False
        self._due = now + PACE
        return True

    def _pick(self) -> HandshakeApplicant:
        """Take the next connection, of the address whose last turn is longest ago; if all slots are taken, of the
        addresses with no handshake under way.
        """
        full = self._under_way.count >= self._most
        address = next(iter(self._without if full and self._without else self._lines))
        line = self._lines[address]
        # Adaptive LIFO: in a long queue the oldest have given up.
        picked, _ = line.popitem(last=len(line) > LONG_LINE)
        if line:
            self._lines.move_to_end(address)
        else:
            self._end_line(address)
        return picked

    def _end_line(self, address: str) -> None:
        del self._lines[address]
        self._without.pop(address, None)

    def enter(self, applicant: HandshakeApplicant) -> ConnectionSlot:
        """Take a slot for a handshake; the oldest one is evicted if there are too many."""
        if self._under_way.count >= self._most and (slot := self._under_way.choose(self._loop.time())) is not None:
            self._under_way.release(slot)
            self._evicted()
            slot.owner.evict()
        self._without.pop(applicant.client_group, None)
        return self._under_way.take(applicant, applicant.client_group)

    def leave(self, slot: ConnectionSlot) -> None:
        """A handshake has ended: the next one need not wait any longer."""
        self._under_way.release(slot)
        group = slot.group
        if group is not None and not group.count and group.key in self._lines:
            self._without[group.key] = None
        if self._timer is not None and self._under_way.count < self._most:
            self._hasten()
            self._turn = self._loop.call_soon(self._next)

    def close(self) -> None:
        """Begin no more handshakes."""
        self._lines.clear()
        self._without.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = self._timer = None
