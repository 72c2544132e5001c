"""What all buffers of a worker hold, and how much that may be (`server.limits.buffers`). Pure.

Whatever keeps bytes for longer than one call adds them here and drops them again: queues of writes, heads and bodies
that are here in part, what is read ahead, what is kept for another attempt, copies for a mirror. So the sum is known at
any moment, without a look at ten thousand connections.

Above `TIGHT` of the limit, who is behind is stopped sooner and gets smaller portions; above the limit, those who hold
the most and move the least are cut until `RELIEVED` of it is left. What memory the system sees in use counts as well
(`press`): it knows of what is not counted here, the kernel's own buffers before all.
"""

from collections.abc import Callable

UNLIMITED = 2**62

TIGHT = 0.7
CALM = 0.5
RELIEVED = 0.85
"""Of the limit. Once tight, it is so until no more than CALM is held; what is cut is cut down to RELIEVED."""

ALARMING = 0.85
CRITICAL = 0.95
"""Of the memory that this process and its siblings may have: it is tight from the first on, and from the second on
those are cut who hold the most."""

PORTION = 65_536
SMALL_PORTION = 16_384
"""Bytes that are read at once from a peer that sends much; when it is tight, the second."""

WATER = 32_768
LOW_WATER = 8_192
"""Bytes queued for a peer above which no more is read for it; when it is tight, the second."""

PIECE = 64
"""What keeping a piece of bytes costs, beside its bytes: many small ones are dear."""


class Buffers:
    """The account of one worker. `crossed` is called once when more than the limit is held, until `settle` is;
    `cutting`: it was called, and is not settled; `pressed`: memory is short; `refusing`: cutting was not enough, so
    nothing new is begun; `shed` counts what was cut.
    """

    def __init__(self, limit: int = UNLIMITED, crossed: Callable[[], None] = lambda: None) -> None:
        self.held = 0
        self.limit = limit
        self.crossed = crossed
        self.shed = 0
        self.refusing = False
        self.cutting = False
        self.pressed = False
        self._alarmed = False
        self._slacken()

    def __repr__(self) -> str:
        state = "refusing" if self.refusing else "tight" if self.tight else "calm"
        return f"<Buffers {self.held} of {self.limit} bytes, {state}>"

    def add(self, size: int) -> None:
        """So much more is kept."""
        self.held += size
        if self.held > self._mark:
            self._cross()

    def drop(self, size: int) -> None:
        """So much less is kept."""
        self.held -= size

    def _slacken(self) -> None:
        self.tight = False
        self.water = WATER
        self.portion = PORTION
        self._mark = int(self.limit * TIGHT)

    def _tighten(self) -> None:
        self.tight = True
        self.water = LOW_WATER
        self.portion = SMALL_PORTION
        self._mark = self.limit

    def _cross(self) -> None:
        if not self.tight:
            self._tighten()
        if self.held > self.limit and not self.cutting:
            self.cutting = True
            self._mark = UNLIMITED
            self.crossed()

    def excess(self) -> int:
        """Bytes to be cut now."""
        if self.held <= self.limit and not self.pressed:
            return 0
        return max(self.held - int(min(self.held, self.limit) * RELIEVED), 0)

    def settle(self, cut: int) -> None:
        """So many were cut: what is still held is judged from here on."""
        self.shed += cut
        self.cutting = False
        self.refusing = self.held > self.limit or (self.refusing and self.pressed)
        if self.tight:
            self._mark = self.limit

    def sweep(self) -> None:
        """Be calm again where there is reason to."""
        self.refusing = self.refusing and (self.pressed or self.held > self.limit * RELIEVED)
        if self.tight and not self._alarmed and not self.cutting and self.held <= self.limit * CALM:
            self._slacken()
        elif self.held > self.limit and not self.cutting:
            self._cross()

    def set_pressure(self, share: float) -> None:
        """Such a share of the memory that there may be is in use. Where it stays critical, nothing new is begun. While
        some are being cut, what is still held says nothing yet.
        """
        critical = share >= CRITICAL
        over = self.refusing if self.cutting else self.held > self.limit
        self.refusing = over or (critical and self.pressed)
        self.pressed = critical or (self.pressed and share >= ALARMING)
        self._alarmed = share >= ALARMING
        if self._alarmed and not self.tight:
            self._tighten()
        if critical and not self.cutting:
            self.cutting = True
            self.crossed()
