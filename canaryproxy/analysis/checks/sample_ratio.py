"""The sample ratio check: does the canary get the share that the weight promises? If not, its users differ from those
of stable, and comparisons are not valid (Fabijan et al. 2019). It is a self-check of the router and of the selection of
users: it stops the rollout with a warning, and never rolls back.
"""

import math

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes
from canaryproxy.analysis.spec import Action
from canaryproxy.analysis.stats.eprocess import exp
from canaryproxy.model.document import Document, plain, plains, real, reals, whole
from canaryproxy.model.table import FULL_WEIGHT

# Alternatives: factors on the odds of the canary.
RATIOS = (0.5, 0.67, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 1.5, 2.0)

# Evidence at which no rollout advances: a false alarm in one of a thousand rollouts.
ALARM = 1000.0


class SampleRatioCheck:
    """Evidence that units are not split by the weight (Lindon and Malek, arXiv 2011.03567, on a grid)."""

    name = "sample-ratio"
    action: Action = "hold"
    dry_run = False

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._logs = [0.0] * len(RATIOS)
        self._canary = self._total = 0
        self._expected = 0.0

    def __repr__(self) -> str:
        return f"<SampleRatioCheck: {self._canary} of {self._total}, {self._expected:.0f} expected>"

    @property
    def value(self) -> float:
        """The evidence."""
        return math.fsum(map(exp, self._logs)) / len(RATIOS)

    @property
    def alarmed(self) -> bool:
        """Whether the shares differ from the weight."""
        return self.value >= ALARM

    def draw(self, canary: int, stable: int, weight: float) -> None:
        """Add units drawn under this weight, in basis points."""
        total, share = canary + stable, weight / FULL_WEIGHT
        if not total:
            return
        self._canary += canary
        self._total += total
        self._expected += total * share
        for number, ratio in enumerate(RATIOS):
            self._logs[number] += canary * math.log(ratio) - total * math.log1p(share * (ratio - 1))

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "logs": plains(self._logs),
            "canary": self._canary,
            "total": self._total,
            "expected": plain(self._expected),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._logs = reals(data["logs"], len(RATIOS))
        self._canary, self._total = whole(data["canary"]), whole(data["total"])
        self._expected = real(data["expected"])

    def finding(self) -> Finding:
        """The present finding."""
        canary, total, expected = self._canary, self._total, self._expected
        sentence = f"{canary:,} of {wording.counted(total, self._unit)} went to the canary, {expected:,.0f} expected"
        if self.alarmed:
            sentence += ": the split is not what was asked for, so the versions' users differ"
        return Finding(
            name=self.name,
            verdict="inconclusive" if self.alarmed or not total else "pass",
            sentence=sentence,
            canary=canary / total if total else None,
            ratio=canary / expected if expected else None,
            unit=self._unit,
            samples=SampleSizes(canary, total - canary),
            evidence=self.value,
            threshold=ALARM,
            action=self.action,
        )
