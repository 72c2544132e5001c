"""Tests of rates of yes-or-no outcomes (errors, conversions): is the canary's rate higher, or proven no higher?

A block has the units of both versions and the number of units that failed (or converted). The tests condition on the
canary's *realised* share of the block. So weights may change at any time, and an event that affects both versions (an
outage, a busy hour) counts against neither: the conditional rate e-process of Lindon and Malek (arXiv 2011.03567) and
of Turner, Ly and Grünwald (arXiv 2106.02693) on a grid of alternatives.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import CompositeTest, EDetector, EProcess, even_weights
from canaryproxy.model.document import plains, reals

# Alternatives: how many times the tolerated rate the canary's rate is.
HIGHER = (1.25, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)

# Alternatives: how many times the floor the canary's rate is.
ABOVE_FLOOR = (2.0, 4.0, 8.0, 16.0, 64.0, 256.0)

# Alternatives of the tests that a rate is lower.
LOWER = (0.9, 0.75, 0.5, 0.25, 0.05)

NO_DATA = (0.0,) * max(len(HIGHER), len(LOWER))


@dataclass(frozen=True, slots=True)
class Block:
    """Counts of both versions between two looks: units, and failed units."""

    canary: float
    canary_failed: float
    stable: float
    stable_failed: float

    @property
    def whole(self) -> bool:
        """Whether the block can be judged: both versions have units in it."""
        return self.canary > 0 and self.stable > 0

    def __add__(self, other: "Block") -> "Block":
        return Block(
            self.canary + other.canary,
            self.canary_failed + other.canary_failed,
            self.stable + other.stable,
            self.stable_failed + other.stable_failed,
        )

    def snapshot(self) -> list[float | str]:
        """As plain data."""
        return plains((self.canary, self.canary_failed, self.stable, self.stable_failed))

    @classmethod
    def restored(cls, data: object) -> "Block":
        """The block of `snapshot`. Raises `ValueError` and `TypeError`."""
        canary, canary_failed, stable, stable_failed = reals(data, 4)
        return cls(canary=canary, canary_failed=canary_failed, stable=stable, stable_failed=stable_failed)


NOTHING = Block(0, 0, 0, 0)


def log_relative(block: Block, excess: float, ratio: float) -> float:
    """Ln e of a block against "the canary's rate is at most `ratio` times stable's", betting that it is `excess` times
    as high; with `excess` below 1 against "at least `ratio` times". E[e] <= 1 by 1 + x <= exp(x), for any rates of the
    single units.
    """
    failed = block.canary_failed + block.stable_failed
    if not failed:
        return 0.0
    expected = ratio * block.canary
    mean = (excess * expected + block.stable) / (expected + block.stable)
    return block.canary_failed * math.log(excess) - failed * math.log(mean)


def log_floor(units: float, failed: float, multiple: float, floor: float) -> float:
    """Ln e of units against "the rate is at most `floor`" (0..1), betting on `multiple` times `floor`; with `multiple`
    below 1 against "at least `floor`". It is the likelihood ratio of two Bernoulli rates.
    """
    return failed * math.log(multiple) + (units - failed) * math.log((1 - multiple * floor) / (1 - floor))


def _logs(block: Block, alternatives: Sequence[float], ratio: float, dispersion: float) -> Sequence[float]:
    if not block.canary_failed and not block.stable_failed:
        return NO_DATA[: len(alternatives)]
    return [log_relative(block, one, ratio) / dispersion for one in alternatives]


class HigherRate(CompositeTest):
    """Evidence that the canary's rate is more than `ratio` times stable's *and* above `floor` (0..1).

    Both must be shown, so the evidence is the smaller of the two: an e-value against "at least one is false".
    """

    __slots__ = ("_above", "_floor", "_ratio", "floor", "relative")

    def __init__(self, ratio: float, floor: float) -> None:
        self._ratio = ratio
        self._floor = floor
        self._above = tuple(one for one in ABOVE_FLOOR if one * floor < 1)
        self.relative = EDetector(even_weights(len(HIGHER)))
        self.floor = EDetector(even_weights(len(self._above))) if floor else None
        super().__init__({"relative": self.relative, "floor": self.floor})

    def bet(self, block: Block, fresh: float | None = None, *, look: bool = True, dispersion: float = 1.0) -> None:
        """Bet on a block. `fresh` are the canary's units that are in no earlier block, if units may be in many blocks.
        `dispersion` (1 and more) is the factor by which counts vary beyond chance: it divides the evidence of a block.
        """
        self.relative.bet(_logs(block, HIGHER, self._ratio, dispersion), look=look)
        if self.floor is not None:
            units = block.canary if fresh is None else fresh
            logs = [log_floor(units, block.canary_failed, one, self._floor) / dispersion for one in self._above]
            self.floor.bet(logs, look=look)

    @property
    def value(self) -> float:
        """The evidence."""
        return self.relative.value if self.floor is None else min(self.relative.value, self.floor.value)


class NotHigherRate(CompositeTest):
    """Evidence that the canary's rate is below `ratio` times stable's *or* below `bound` (0..1): non-inferiority.

    The null hypothesis "at least as bad as both" is tested by each half, so their mean is an e-value too.
    """

    __slots__ = ("_bound", "_ratio", "below", "relative")

    def __init__(self, ratio: float, bound: float) -> None:
        self._ratio = ratio
        self._bound = bound
        self.relative = EProcess(even_weights(len(LOWER)))
        self.below = EProcess(even_weights(len(LOWER)))
        super().__init__({"relative": self.relative, "below": self.below})

    def bet(self, block: Block, fresh: float | None = None, *, dispersion: float = 1.0) -> None:
        """Bet on a block. `fresh` and `dispersion` as in `HigherRate.bet`."""
        self.relative.bet(_logs(block, LOWER, self._ratio, dispersion))
        units = block.canary if fresh is None else fresh
        self.below.bet([log_floor(units, block.canary_failed, one, self._bound) / dispersion for one in LOWER])

    @property
    def value(self) -> float:
        """The evidence."""
        return (self.relative.value + self.below.value) / 2


class LowerRate(CompositeTest):
    """Evidence that the canary's rate is below stable's divided by `margin` (1 and more)."""

    __slots__ = ("_margin", "relative")

    def __init__(self, margin: float = 1.0) -> None:
        self._margin = margin
        self.relative = EDetector(even_weights(len(LOWER)))
        super().__init__({"relative": self.relative})

    def bet(self, block: Block, *, look: bool = True, dispersion: float = 1.0) -> None:
        """Bet on a block. `dispersion` as in `HigherRate.bet`."""
        self.relative.bet(_logs(block, LOWER, 1 / self._margin, dispersion), look=look)
