"""Threshold checks: fixed bounds on a value of the canary, measured by this proxy or by an external source. Without
statistics: the check fails if the bound is broken at several looks in a row.
"""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action, FixedLimits
from canaryproxy.model.document import Document, items, plain, real, text, whole, wholes

NO_SAMPLES = SampleSizes()


class ThresholdCheck:
    """A value that is read from time to time. The check fails after `failures` bad readings in a row; a value that
    cannot be read is neither good nor bad, and makes the finding unknown.
    """

    def __init__(
        self, name: str, limits: FixedLimits, failures: int, *, action: Action = "rollback", dry_run: bool = False
    ) -> None:
        self.name = name
        self.action: Action = action
        self.dry_run = dry_run
        self._limits = limits
        self._failures = failures
        self._bad = 0
        self._values: tuple[float | None, float | None] = (None, None)
        self._broken = ""
        self._problem = "nothing was read yet"
        self._samples = NO_SAMPLES

    def __repr__(self) -> str:
        return f"<ThresholdCheck {self.name}: {self._bad} bad in a row>"

    @property
    def failed(self) -> bool:
        """Whether the bound was broken in enough readings."""
        return self._bad >= self._failures

    def read(self, canary: float, stable: float | None, samples: SampleSizes = NO_SAMPLES) -> None:
        """Add a reading; stable's value is needed only for `times`."""
        self._problem = ""
        self._values = canary, stable
        self._samples = samples
        self._broken = self._limits.broken(canary, stable)
        self._bad = self._bad + 1 if self._broken else 0

    def unread(self, problem: str) -> None:
        """The value cannot be read. Bad readings before that stay counted."""
        self._problem = problem

    def step(self) -> None:
        """The weight has changed: the count of bad readings starts over."""
        self._bad = 0

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "bad": self._bad,
            "values": [None if one is None else plain(one) for one in self._values],
            "broken": self._broken,
            "problem": self._problem,
            "samples": [self._samples.canary, self._samples.stable],
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._bad = whole(data["bad"])
        canary, stable = (None if one is None else real(one) for one in items(data["values"]))
        self._values = canary, stable
        self._broken, self._problem = text(data["broken"]), text(data["problem"])
        canary_count, stable_count = wholes(data["samples"], 2)
        self._samples = SampleSizes(canary=canary_count, stable=stable_count)

    def finding(self) -> Finding:
        """The present finding."""
        canary, stable = self._values
        verdict: Verdict = "pass"
        if self.failed:
            verdict = "fail"
        elif self._problem or self._broken:
            verdict = "inconclusive"
        return Finding(
            name=self.name,
            verdict=verdict,
            sentence=self._sentence(),
            canary=canary,
            stable=stable,
            ratio=canary / stable if canary is not None and stable else None,
            unit="value",
            samples=self._samples,
            evidence=float(self._bad),
            threshold=float(self._failures),
            missing="" if not self._problem else "a value",
            action=self.action,
            dry_run=self.dry_run,
            unknown=bool(self._problem) and self.name.startswith("check:"),
        )

    def _sentence(self) -> str:
        if self._problem:
            return f"{self.name} is unknown: {self._problem}"
        canary = wording.number(self._values[0] or 0.0)
        if not self._broken:
            return f"{self.name} is {canary}, within its bounds"
        return f"{self.name} is {canary}, {self._broken}, {self._bad} of {self._failures} times in a row"
