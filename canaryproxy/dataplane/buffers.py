"""Accounts for all bytes buffered by a worker, within `server.limits.buffers`. Pure.

Everything that holds bytes for longer than one call adds them here and drops them again: write queues, incomplete heads
and bodies, bytes read ahead, bodies kept for another attempt, mirrored copies. So the sum is known at any moment,
without looking at ten thousand connections.

Above `TIGHT` of the limit, slow peers are paused sooner and smaller portions are read; above the limit, the connections
that hold the most and move the least are cut until `RELIEVED` of it is left. The memory use that the system reports
counts as well (`set_pressure`): it includes what is not counted here, above all the kernel's own buffers.
"""

from collections.abc import Callable

UNLIMITED = 2**62

# Fractions of the limit. Once tight, the state lasts until no more than CALM is held; cutting ends at RELIEVED. The
# gap between TIGHT and CALM prevents oscillation.
TIGHT = 0.7
CALM = 0.5
RELIEVED = 0.85

# Fractions of the memory that this process and its siblings may use: tight from ALARMING on, and from CRITICAL on the
# greatest holders are cut.
ALARMING = 0.85
CRITICAL = 0.95

# Bytes read at once from a peer that sends much, normally and when tight.
PORTION = 65_536
SMALL_PORTION = 16_384

# Bytes queued for a peer above which its source is paused, normally and when tight.
WATER = 32_768
LOW_WATER = 8_192

# Bytes of overhead of a piece, beside its content: many small pieces are expensive.
PIECE = 64


class Buffers:
    """The account of one worker. `crossed` is called once when the limit is exceeded, until `settle` is called;
    `cutting`: between the two; `pressed`: memory is short; `refusing`: cutting was not enough, so no new request is
    begun; `shed` counts the connections that were cut.
    """

    def __init__(self, limit: int = UNLIMITED, crossed: Callable[[], object] = lambda: None) -> None:
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
        """Count `size` more bytes."""
        self.held += size
        if self.held > self._mark:
            self._cross()

    def drop(self, size: int) -> None:
        """Count `size` fewer bytes."""
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
        """Cutting is done, `cut` connections were: from here on the limit is checked again."""
        self.shed += cut
        self.cutting = False
        self.refusing = self.held > self.limit or (self.refusing and self.pressed)
        if self.tight:
            self._mark = self.limit

    def sweep(self) -> None:
        """Return to the calm state if possible."""
        self.refusing = self.refusing and (self.pressed or self.held > self.limit * RELIEVED)
        if self.tight and not self._alarmed and not self.cutting and self.held <= self.limit * CALM:
            self._slacken()
        elif self.held > self.limit and not self.cutting:
            self._cross()

    def set_pressure(self, share: float) -> None:
        """Set the share of the available memory that is in use. If it stays critical, no new request is begun. While
        connections are being cut, `held` is not meaningful yet.
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
