"""The placebo: the same judge on a random slice of stable against the rest of it. There is nothing to find, so what it
finds is noise that the model does not know of, and the real evidence is divided until the placebo would have stayed
quiet.
"""

import math
from collections.abc import Callable

from canaryproxy.analysis.rates import NOTHING, Block, Worse

SMALLEST, LARGEST = 0.01, 0.5
"""Share of stable that is the slice: that of the canary, within these."""

EXACT = 50
"""Requests up to which they are drawn one by one."""


class Placebo:
    """A slice of stable's units. `dice` give numbers from 0 up to 1."""

    def __init__(self, tolerance: float, floor: float, alarm: float, dice: Callable[[], float]) -> None:
        self._tolerance = tolerance
        self._floor = floor
        self._alarm = alarm
        self._dice = dice
        self._worse = Worse(tolerance, floor)
        self._carried = NOTHING
        self.factor = 1.0

    def __repr__(self) -> str:
        return f"<Placebo: {self._worse!r}, factor {self.factor:.2f}>"

    @property
    def value(self) -> float:
        """Its evidence, of nothing."""
        return self._worse.value

    def bet(self, block: Block, weight: int, dispersion: float = 1.0) -> None:
        """Split stable's part of a block, and bet on it as on a canary's."""
        share = min(max(weight / 10_000, SMALLEST), LARGEST)
        units, failed = int(block.stable), int(block.stable_failed)
        taken = self._some(units, share)
        bad = self._some_of(failed, taken, units)
        self.bet_on(Block(taken, bad, units - taken, failed - bad), dispersion)

    def bet_on(self, block: Block, dispersion: float = 1.0) -> None:
        """Bet on a slice that was drawn already."""
        block = self._carried + block
        if not block.whole:
            self._carried = block
            return
        self._carried = NOTHING
        self._worse.bet(block, dispersion=dispersion * self.factor)
        if self.value >= self._alarm:
            self.factor *= max(math.log(self.value) / math.log(self._alarm), 1.05)
            self._worse = Worse(self._tolerance, self._floor)

    def _some(self, units: int, share: float) -> int:
        """How many of so many, each with this chance."""
        if units <= EXACT:
            return sum(self._dice() < share for _ in range(units))
        mean, spread = units * share, math.sqrt(units * share * (1 - share))
        normal = math.sqrt(-2 * math.log(1 - self._dice())) * math.cos(2 * math.pi * self._dice())
        return min(max(round(mean + spread * normal), 0), units)

    def _some_of(self, failed: int, taken: int, units: int) -> int:
        """How many of the failed are among the taken, drawn without replacement."""
        found = 0
        for _ in range(failed):
            if units and self._dice() * units < taken:
                taken -= 1
                found += 1
            units -= 1
        return found
