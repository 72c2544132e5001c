"""Values that events carry, such as the sum of an order: whether the canary's users bring less, or more.

A unit (a user, a request) without an event has the value 0 and costs nothing here. The same primitive as for latency,
with l = 1 - lambda * x on x = min(value, cap) / cap: bets that the canary's x are smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import EDetector, even_weights
from canaryproxy.model.document import Document

STAKES = (0.1, 0.3, 0.6, 0.9)
"""The lambdas."""


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """Units of both versions in a block, and the values of those that had an event."""

    canary: float
    canary_values: Sequence[float]
    stable: float
    stable_values: Sequence[float]

    @property
    def as_integers(self) -> bool:
        """Whether it can be judged: both versions were there."""
        return self.canary > 0 and self.stable > 0

    def exchanged(self) -> "ValueBlock":
        """With the roles exchanged: what is less for one is more for the other."""
        return ValueBlock(self.stable, self.stable_values, self.canary, self.canary_values)


def log_less(takings: ValueBlock, stake: float, cap: float, margin: float = 1.0) -> float:
    """Ln e of a block against "the canary's values are distributed like stable's, or higher", the canary's multiplied
    by `margin` (1 and more) before.
    """
    share = takings.canary / (takings.canary + takings.stable)
    canary = [min(value * margin, cap) / cap for value in takings.canary_values]
    stable = [min(value, cap) / cap for value in takings.stable_values]
    won = math.fsum(math.log1p(-stake * one) for one in canary)
    return won - math.fsum(math.log1p(-share * stake * one) for one in (*canary, *stable))


class LowerValues:
    """Evidence that the canary's values are less than stable's over `margin` (1 and more)."""

    __slots__ = ("_margin", "evidence")

    def __init__(self, margin: float = 1.0) -> None:
        self._margin = margin
        self.evidence = EDetector(even_weights(len(STAKES)))

    def __repr__(self) -> str:
        return f"<LowerValues: {self.evidence!r}>"

    def bet(self, takings: ValueBlock, cap: float) -> None:
        """Bet on a block; the cap must have been fixed before."""
        self.evidence.bet([log_less(takings, stake, cap, self._margin) for stake in STAKES])

    @property
    def value(self) -> float:
        """The evidence now."""
        return self.evidence.value

    def snapshot(self) -> Document:
        """As plain data."""
        return {"less": self.evidence.snapshot()}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self.evidence.restore(data["less"])
