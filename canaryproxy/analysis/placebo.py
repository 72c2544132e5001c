"""The placebo: the error test on a random slice of stable against the rest of stable. Its evidence is only noise that
the model does not know, so the real evidence is divided by the factor at which the placebo would have had no alarm.
"""

import math
from collections.abc import Callable

from canaryproxy.analysis.counting import CANARY, STABLE, UsersAtRisk, pair
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block, HigherRate
from canaryproxy.model.document import Document, plain, real
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.read.users import NewUsers

# Odd multiplier that mixes hashes: the split by version uses them too, and the slice must not depend on it.
SHUFFLE = 0x9E3779B97F4A7C15

# Resolution of a slice.
PARTS = 1 << 16

# Limits of the share of the slice in stable, which is otherwise that of the canary.
SMALLEST, LARGEST = 0.01, 0.5

# Requests up to which each is drawn separately; above, a normal approximation is used.
EXACT_LIMIT = 50


def share_of(weight: int) -> float:
    """The share of the slice in stable (0..1) at a weight in basis points."""
    return min(max(weight / FULL_WEIGHT, SMALLEST), LARGEST)


class PlaceboSlice:
    """Users of stable in one step, split by hash into the slice and the rest."""

    def __init__(self, weight: int) -> None:
        self._below = round(share_of(weight) * PARTS)
        self._risk = UsersAtRisk()
        self._fresh, self._failing = pair(), pair()

    def __repr__(self) -> str:
        return f"<PlaceboSlice of {self._below / PARTS:.1%}: {self._risk!r}>"

    def users_seen(self, new_users: NewUsers) -> None:
        """Add users of stable that were seen, or failed, for the first time."""
        for users, counts in ((new_users.seen, self._fresh), (new_users.failed, self._failing)):
            taken = sum((user * SHUFFLE >> 32) % PARTS < self._below for user in users)
            counts[CANARY] += taken
            counts[STABLE] += len(users) - taken

    def block(self) -> tuple[Block, int]:
        """The next block (users at risk, and those that failed), and the number of new users in the slice."""
        fresh, failing = self._fresh, self._failing
        self._fresh, self._failing = pair(), pair()
        return self._risk.first_failures(fresh, failing), fresh[CANARY]


class Placebo:
    """The test of the placebo. `rng` returns random numbers in [0, 1)."""

    def __init__(self, tolerance: float, floor: float, alarm: float, rng: Callable[[], float]) -> None:
        self._tolerance = tolerance
        self._floor = floor
        self._alarm = alarm
        self._rng = rng
        self._worse = HigherRate(tolerance, floor)
        self._carried = NOTHING
        self.factor = 1.0

    def __repr__(self) -> str:
        return f"<Placebo: {self._worse!r}, factor {self.factor:.2f}>"

    @property
    def value(self) -> float:
        """The evidence of the placebo."""
        return self._worse.value

    def bet(self, block: Block, weight: int) -> None:
        """Split the units of stable in a block at random, and bet on the slice."""
        share = share_of(weight)
        units, failed = int(block.stable), int(block.stable_failed)
        taken = self._some(units, share)
        bad = self._some_of(failed, taken, units)
        self.bet_on(Block(taken, bad, units - taken, failed - bad))

    def bet_on(self, block: Block, dispersion: float = 1.0, fresh: float | None = None) -> None:
        """Bet on a slice that is drawn already. `fresh` as in `HigherRate.bet`."""
        block = self._carried + block
        if not block.whole:
            self._carried = block
            return
        self._carried = NOTHING
        self._worse.bet(block, fresh, dispersion=dispersion * self.factor)
        # Each alarm raises the factor by at least 5 %, so that it is reached in few alarms.
        if self.value >= self._alarm:
            self.factor *= max(math.log(self.value) / math.log(self._alarm), 1.05)
            self._worse = HigherRate(self._tolerance, self._floor)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"worse": self._worse.snapshot(), "carried": self._carried.snapshot(), "factor": plain(self.factor)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._worse.restore(data["worse"])
        self._carried = Block.restored(data["carried"])
        self.factor = real(data["factor"])

    def _some(self, units: int, share: float) -> int:
        """A binomial random number."""
        if units <= EXACT_LIMIT:
            return sum(self._rng() < share for _ in range(units))
        mean, spread = units * share, math.sqrt(units * share * (1 - share))
        normal = math.sqrt(-2 * math.log(1 - self._rng())) * math.cos(2 * math.pi * self._rng())
        return min(max(round(mean + spread * normal), 0), units)

    def _some_of(self, failed: int, taken: int, units: int) -> int:
        """A hypergeometric random number: how many of the failed units are among the taken ones."""
        found = 0
        for _ in range(failed):
            if units and self._rng() * units < taken:
                taken -= 1
                found += 1
            units -= 1
        return found
