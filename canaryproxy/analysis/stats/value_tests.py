"""Tests of the values that events carry, such as the sum of an order: are the canary's values lower, or higher?

A unit (a user, a request) without an event has the value 0 and needs no computation. The primitive is that of the rank
tests, with l = 1 - lambda * x on x = min(value, cap) / cap: it bets that the canary's x are smaller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import CompositeTest, EDetector, even_weights

# Alternatives: the lambdas.
STAKES = (0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """Units of both versions in a block, and the values of units with an event."""

    canary: float
    canary_values: Sequence[float]
    stable: float
    stable_values: Sequence[float]

    def exchanged(self) -> "ValueBlock":
        """The block with both versions exchanged, to test for higher values."""
        return ValueBlock(self.stable, self.stable_values, self.canary, self.canary_values)


def log_less(takings: ValueBlock, stake: float, cap: float, margin: float = 1.0) -> float:
    """Ln e of a block against "the canary's values times `margin` (1 and more) are distributed like stable's, or
    higher".
    """
    share = takings.canary / (takings.canary + takings.stable)
    canary = [min(value * margin, cap) / cap for value in takings.canary_values]
    stable = [min(value, cap) / cap for value in takings.stable_values]
    won = math.fsum(math.log1p(-stake * one) for one in canary)
    return won - math.fsum(math.log1p(-share * stake * one) for one in (*canary, *stable))


class LowerValues(CompositeTest):
    """Evidence that the canary's values are below stable's divided by `margin` (1 and more)."""

    __slots__ = ("_margin", "evidence")

    def __init__(self, margin: float = 1.0) -> None:
        self._margin = margin
        self.evidence = EDetector(even_weights(len(STAKES)))
        super().__init__({"less": self.evidence})

    def bet(self, takings: ValueBlock, cap: float) -> None:
        """Bet on a block. The cap must not depend on the block."""
        self.evidence.bet([log_less(takings, stake, cap, self._margin) for stake in STAKES])
