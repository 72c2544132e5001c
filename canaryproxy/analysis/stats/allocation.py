"""The sample ratio: whether the canary got the share it was given. If not, its users are not like stable's, and no
comparison means much: a self-check of the router, and of whatever picks users (Fabijan et al. 2019).
"""

import math

from canaryproxy.analysis.stats.eprocess import exp
from canaryproxy.model.document import Document, plain, plains, real, reals, whole

RATIOS = (0.5, 0.67, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2.0)
"""By how much the odds of the canary may be off."""

ALARM = 1000.0
"""Evidence at which no rollout is raised any more: false once in a thousand rollouts."""


class SampleRatio:
    """Evidence that units are not shared as the weight says (Lindon and Malek, arXiv 2011.03567, on a grid)."""

    __slots__ = ("_logs", "canary", "expected", "total")

    def __init__(self) -> None:
        self._logs = [0.0] * len(RATIOS)
        self.canary = 0
        self.total = 0
        self.expected = 0.0

    def __repr__(self) -> str:
        return f"<SampleRatio: {self.canary} of {self.total}, {self.expected:.0f} expected>"

    def bet(self, canary: int, total: int, weight: float) -> None:
        """Units of the canary among all, drawn under this weight (0..1)."""
        self.canary += canary
        self.total += total
        self.expected += total * weight
        for number, ratio in enumerate(RATIOS):
            self._logs[number] += canary * math.log(ratio) - total * math.log1p(weight * (ratio - 1))

    @property
    def value(self) -> float:
        """The evidence now."""
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
        """Go on from there. Raises as `EDetector.restore` does."""
        self._logs = reals(data["logs"], len(RATIOS))
        self.canary = whole(data["canary"])
        self.total = whole(data["total"])
        self.expected = real(data["expected"])
