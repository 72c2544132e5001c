"""The sample ratio test: does the canary get the share that the weight promises? If not, its users differ from those of
stable, and comparisons are not valid. A self-check of the router and of the selection of users (Fabijan et al. 2019).
"""

import math

from canaryproxy.analysis.stats.eprocess import exp
from canaryproxy.model.document import Document, plain, plains, real, reals, whole

RATIOS = (0.5, 0.67, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2.0)
"""Alternatives: factors on the odds of the canary."""

ALARM = 1000.0
"""Evidence at which no rollout advances: a false alarm in one of a thousand rollouts."""


class SampleRatio:
    """Evidence that units are not split by the weight (Lindon and Malek, arXiv 2011.03567, on a grid)."""

    __slots__ = ("_logs", "canary", "expected", "total")

    def __init__(self) -> None:
        self._logs = [0.0] * len(RATIOS)
        self.canary = 0
        self.total = 0
        self.expected = 0.0

    def __repr__(self) -> str:
        return f"<SampleRatio: {self.canary} of {self.total}, {self.expected:.0f} expected>"

    def bet(self, canary: int, total: int, weight: float) -> None:
        """Add units of the canary among all units drawn under this weight (0..1)."""
        self.canary += canary
        self.total += total
        self.expected += total * weight
        for number, ratio in enumerate(RATIOS):
            self._logs[number] += canary * math.log(ratio) - total * math.log1p(weight * (ratio - 1))

    @property
    def value(self) -> float:
        """The evidence."""
        return math.fsum(map(exp, self._logs)) / len(RATIOS)

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "logs": plains(self._logs),
            "canary": self.canary,
            "total": self.total,
            "expected": plain(self.expected),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        self._logs = reals(data["logs"], len(RATIOS))
        self.canary = whole(data["canary"])
        self.total = whole(data["total"])
        self.expected = real(data["expected"])
