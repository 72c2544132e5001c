"""The sample ratio check: a self-check of the split, which stops the rollout with a warning and never rolls back."""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action
from canaryproxy.analysis.stats.allocation import ALARM, SampleRatio
from canaryproxy.model.document import Document
from canaryproxy.model.table import FULL_WEIGHT


class SampleRatioCheck:
    """Units drawn for the canary, compared with the weight."""

    name = "sample-ratio"
    action: Action = "hold"
    dry_run = False

    def __init__(self, unit: str) -> None:
        self._ratio = SampleRatio()
        self._unit = unit

    def __repr__(self) -> str:
        return f"<SampleRatioCheck {self._ratio!r}>"

    @property
    def alarmed(self) -> bool:
        """Whether the shares differ from the weight."""
        return self._ratio.value >= ALARM

    def draw(self, canary: int, stable: int, weight: int) -> None:
        """Add units drawn under this weight, in basis points."""
        if canary + stable:
            self._ratio.bet(canary, canary + stable, weight / FULL_WEIGHT)

    def snapshot(self) -> Document:
        """As plain data."""
        return self._ratio.snapshot()

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._ratio.restore(data)

    def finding(self) -> Finding:
        """The present finding."""
        found = self._ratio
        verdict: Verdict = "inconclusive" if self.alarmed or not found.total else "pass"
        units = wording.counted(found.total, self._unit)
        sentence = f"{found.canary:,} of {units} went to the canary, {found.expected:,.0f} expected"
        if self.alarmed:
            sentence += ": the split is not what was asked for, so the versions' users differ"
        return Finding(
            name=self.name,
            verdict=verdict,
            sentence=sentence,
            canary=found.canary / found.total if found.total else None,
            ratio=found.canary / found.expected if found.expected else None,
            unit=self._unit,
            samples=SampleSizes(found.canary, found.total - found.canary),
            evidence=found.value,
            threshold=ALARM,
            action="hold",
        )
