"""Thresholds: fixed bounds on a value of the canary, of our own measurements or of an external source. No statistics: a
bound that is broken at several looks in a row has failed.
"""

from dataclasses import dataclass

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action
from canaryproxy.model.document import Document, items, plain, real, text, whole, wholes

NO_BOUNDS = SampleSizes()


@dataclass(frozen=True, slots=True)
class ThresholdBounds:
    """The canary's value at least, at most, or at most so many times stable's."""

    max: float | None = None
    min: float | None = None
    times: float | None = None

    def broken(self, canary: float, stable: float | None) -> str:
        """Which bound is broken, in words; empty for none."""
        if self.max is not None and canary > self.max:
            return f"above {wording.number(self.max)}"
        if self.min is not None and canary < self.min:
            return f"below {wording.number(self.min)}"
        if self.times is not None and stable is not None and canary > self.times * stable:
            return f"above {wording.number(self.times)} times stable's {wording.number(stable)}"
        return ""


class ThresholdCheck:
    """A value that is looked at now and then. Failed after so many bad looks in a row; a value that cannot be had is
    neither good nor bad, and said loudly.
    """

    def __init__(
        self, name: str, bounds: ThresholdBounds, failures: int, *, action: Action = "rollback", dry_run: bool = False
    ) -> None:
        self.name = name
        self.action: Action = action
        self.dry_run = dry_run
        self._bounds = bounds
        self._failures = failures
        self._bad = 0
        self._values: tuple[float | None, float | None] = (None, None)
        self._words = ""
        self._problem = "nothing was read yet"
        self._samples = SampleSizes()

    def __repr__(self) -> str:
        return f"<ThresholdCheck {self.name}: {self._bad} bad in a row>"

    @property
    def failed(self) -> bool:
        """Whether the bound was broken often enough."""
        return self._bad >= self._failures

    def read(self, canary: float, stable: float | None, samples: SampleSizes = NO_BOUNDS) -> None:
        """The values of now; stable's where it matters."""
        self._problem = ""
        self._values = canary, stable
        self._samples = samples
        self._words = self._bounds.broken(canary, stable)
        self._bad = self._bad + 1 if self._words else 0

    def unread(self, problem: str) -> None:
        """The value could not be had. What was bad before is not forgotten, and nothing is added to it."""
        self._problem = problem

    def step(self) -> None:
        """The weight has changed: counting in a row starts over."""
        self._bad = 0

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "bad": self._bad,
            "values": [None if one is None else plain(one) for one in self._values],
            "broken": self._words,
            "problem": self._problem,
            "samples": [self._samples.canary, self._samples.stable],
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._bad = whole(data["bad"])
        canary, stable = (None if one is None else real(one) for one in items(data["values"]))
        self._values = canary, stable
        self._words, self._problem = text(data["broken"]), text(data["problem"])
        canary_samples, stable_samples = wholes(data["samples"], 2)
        self._samples = SampleSizes(canary=canary_samples, stable=stable_samples)

    def finding(self) -> Finding:
        """What it says now."""
        canary, stable = self._values
        verdict: Verdict = "pass"
        if self.failed:
            verdict = "fail"
        elif self._problem or self._words:
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
        if not self._words:
            return f"{self.name} is {canary}, within its bounds"
        return f"{self.name} is {canary}, {self._words}, {self._bad} of {self._failures} times in a row"
