"""The sample ratio as a check of ourselves: it freezes promotion and warns, it never takes anything back."""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action
from canaryproxy.analysis.stats.allocation import ALARM, SampleRatio
from canaryproxy.model.document import Document


class SampleRatioCheck:
    """Units drawn for the canary, beside those that the weight promised."""

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
        """Whether the shares are not what they should be."""
        return self._ratio.value >= ALARM

    def draw(self, canary: int, stable: int, weight: int) -> None:
        """Units drawn under this weight, in basis points."""
        if canary + stable:
            self._ratio.bet(canary, canary + stable, weight / 10_000)

    def snapshot(self) -> Document:
        """As plain data."""
        return self._ratio.snapshot()

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._ratio.restore(data)

    def finding(self) -> Finding:
        """What it says now."""
        found = self._ratio
        verdict: Verdict = "inconclusive" if self.alarmed or not found.total else "pass"
        went = f"{found.canary:,} of {wording.counted(found.total, self._unit)} went to the canary"
        said = f"{went}, {found.expected:,.0f} expected"
        if self.alarmed:
            said += ": the split is not what was asked for, so the versions' users differ"
        return Finding(
            name=self.name,
            verdict=verdict,
            sentence=said,
            canary=found.canary / found.total if found.total else None,
            ratio=found.canary / found.expected if found.expected else None,
            unit=self._unit,
            samples=SampleSizes(found.canary, found.total - found.canary),
            evidence=found.value,
            threshold=ALARM,
            action="hold",
        )
