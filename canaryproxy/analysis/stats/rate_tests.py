"""Rates of yes-or-no outcomes: errors, conversions. Whether the canary's is higher, or shown to be no higher.

A block has n and e of both versions: units, and those of them that failed (or converted). What matters is the canary's
share of the block *as realised*, so weights may change at any time, and what befalls both versions at once (an outage,
a busy hour) blames neither: the conditional rate e-process of Lindon and Malek (arXiv 2011.03567) and of Turner, Ly and
Grünwald (arXiv 2106.02693) on a grid of alternatives.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import EDetector, EProcess, even_weights
from canaryproxy.model.document import Document, plains, reals

HIGHER = (1.25, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
"""Ratios of excess over what is tolerated that are bet on."""

ABOVE_FLOOR = (2.0, 4.0, 8.0, 16.0, 64.0, 256.0)
"""Multiples of the floor that are bet on."""

LOWER = (0.9, 0.75, 0.5, 0.25, 0.05)
"""Ratios that are bet on where a rate is to be shown lower."""


NO_DATA = (0.0,) * max(len(HIGHER), len(LOWER))


@dataclass(frozen=True, slots=True)
class Block:
    """Counts between two looks: units and those that failed, of both versions."""

    canary: float
    canary_failed: float
    stable: float
    stable_failed: float

    @property
    def whole(self) -> bool:
        """Whether it can be judged: both versions were there."""
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
        """What `snapshot` gave. Raises `ValueError` and `TypeError`."""
        canary, canary_failed, stable, stable_failed = reals(data, 4)
        return cls(canary=canary, canary_failed=canary_failed, stable=stable, stable_failed=stable_failed)


NOTHING = Block(0, 0, 0, 0)


def log_relative(block: Block, excess: float, ratio: float) -> float:
    """Ln e of a block against "the canary's rate is at most `ratio` times stable's", betting that it is `excess` times
    as high as that. With `excess` below 1 against "at least `ratio` times". E[e] <= 1 by 1 + x <= exp(x), whatever the
    rates of the single units.
    """
    failed = block.canary_failed + block.stable_failed
    if not failed:
        return 0.0
    expected = ratio * block.canary
    mean = (excess * expected + block.stable) / (expected + block.stable)
    return block.canary_failed * math.log(excess) - failed * math.log(mean)


def log_floor(units: float, failed: float, multiple: float, floor: float) -> float:
    """Ln e of units against "the rate is at most `floor`" (0..1), betting on `multiple` times that; with `multiple`
    below 1 against "at least `floor`". The likelihood ratio of two coins.
    """
    return failed * math.log(multiple) + (units - failed) * math.log((1 - multiple * floor) / (1 - floor))


def _logs(block: Block, alternatives: Sequence[float], ratio: float, dispersion: float) -> Sequence[float]:
    if not block.canary_failed and not block.stable_failed:
        return NO_DATA[: len(alternatives)]
    return [log_relative(block, one, ratio) / dispersion for one in alternatives]


class HigherRate:
    """Evidence that the canary's rate is more than `ratio` times stable's *and* above `floor` (0..1).

    Both must be shown, so the evidence is the smaller of two: an e-value for "one of them does not hold".
    """

    __slots__ = ("_above", "_floor", "_ratio", "floor", "relative")

    def __init__(self, ratio: float, floor: float) -> None:
        self._ratio = ratio
        self._floor = floor
        self._above = tuple(one for one in ABOVE_FLOOR if one * floor < 1)
        self.relative = EDetector(even_weights(len(HIGHER)))
        self.floor = EDetector(even_weights(len(self._above))) if floor else None

    def __repr__(self) -> str:
        return f"<HigherRate: {self.relative!r} and {self.floor!r}>"

    def bet(self, block: Block, fresh: float | None = None, *, look: bool = True, dispersion: float = 1.0) -> None:
        """Bet on a block. `fresh` are the canary's units that no earlier block had, where a unit may appear in many.
        `dispersion` (1 and more) is by how much counts vary beyond chance: it divides what a block is worth.
        """
        self.relative.bet(_logs(block, HIGHER, self._ratio, dispersion), look=look)
        if self.floor is not None:
            units = block.canary if fresh is None else fresh
            logs = [log_floor(units, block.canary_failed, one, self._floor) / dispersion for one in self._above]
            self.floor.bet(logs, look=look)

    @property
    def value(self) -> float:
        """The evidence now."""
        return self.relative.value if self.floor is None else min(self.relative.value, self.floor.value)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"relative": self.relative.snapshot(), "floor": None if self.floor is None else self.floor.snapshot()}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self.relative.restore(data["relative"])
        if self.floor is not None:
            self.floor.restore(data["floor"])


class NotHigherRate:
    """Evidence that the canary's rate is below `ratio` times stable's *or* below `bound` (0..1): non-inferiority.

    "At least as bad as the greater of the two" lies in what both halves test, so their mean is an e-value too.
    """

    __slots__ = ("_bound", "_ratio", "below", "relative")

    def __init__(self, ratio: float, bound: float) -> None:
        self._ratio = ratio
        self._bound = bound
        self.relative = EProcess(even_weights(len(LOWER)))
        self.below = EProcess(even_weights(len(LOWER)))

    def __repr__(self) -> str:
        return f"<NotHigherRate: {self.relative!r} or {self.below!r}>"

    def bet(self, block: Block, fresh: float | None = None, *, dispersion: float = 1.0) -> None:
        """Bet on a block. `fresh` and `dispersion` as in `HigherRate.bet`."""
        self.relative.bet(_logs(block, LOWER, self._ratio, dispersion))
        units = block.canary if fresh is None else fresh
        self.below.bet([log_floor(units, block.canary_failed, one, self._bound) / dispersion for one in LOWER])

    @property
    def value(self) -> float:
        """The evidence now."""
        return (self.relative.value + self.below.value) / 2

    def snapshot(self) -> Document:
        """As plain data."""
        return {"relative": self.relative.snapshot(), "below": self.below.snapshot()}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self.relative.restore(data["relative"])
        self.below.restore(data["below"])


class LowerRate:
    """Evidence that the canary's rate is less than stable's over `margin` (1 and more): fewer errors, fewer buyers."""

    __slots__ = ("_margin", "relative")

    def __init__(self, margin: float = 1.0) -> None:
        self._margin = margin
        self.relative = EDetector(even_weights(len(LOWER)))

    def __repr__(self) -> str:
        return f"<LowerRate: {self.relative!r}>"

    def bet(self, block: Block, *, look: bool = True, dispersion: float = 1.0) -> None:
        """Bet on a block. `dispersion` as in `HigherRate.bet`."""
        self.relative.bet(_logs(block, LOWER, 1 / self._margin, dispersion), look=look)

    @property
    def value(self) -> float:
        """The evidence now."""
        return self.relative.value

    def snapshot(self) -> Document:
        """As plain data."""
        return {"relative": self.relative.snapshot()}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self.relative.restore(data["relative"])
