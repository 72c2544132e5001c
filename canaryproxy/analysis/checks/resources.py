"""Resources: does the canary use more of something for each request, by its own account?"""

import math

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict, comparison_of, current_verdict
from canaryproxy.analysis.spec import Action, ResourceSpec
from canaryproxy.analysis.stats.paired_blocks import MIN_BLOCKS, PerRequest
from canaryproxy.analysis.usage import ReadingProblem, UsageBlock
from canaryproxy.model.document import Document, plains, reals

UNEVEN = 2.0
"""Requests per second and endpoint of the two versions must differ by less than this factor: a process that has more
to do spends less on each, so the comparison would be of weights and not of versions.
"""


class ResourceCheck:
    """One resource, block by block. `trouble` is why it cannot be read or compared now; None if it can."""

    trouble: ReadingProblem | None

    def __init__(self, spec: ResourceSpec, threshold: float) -> None:
        self.name = f"resource:{spec.name}"
        self.spec = spec
        self._threshold = threshold
        self.action: Action = spec.on_failure
        self.dry_run = spec.dry_run
        self.trouble = ReadingProblem("the first block is not over yet")
        self._ratio = PerRequest(spec.tolerance)
        self._last = (0.0, 0.0)

    def __repr__(self) -> str:
        return f"<ResourceCheck {self.spec.name}: {len(self._ratio.logs)} blocks>"

    @property
    def harm(self) -> float:
        """Evidence that the canary uses more."""
        return math.exp(min(self._ratio.more, 600.0)) if self._ratio.more else 1.0

    def block(self, found: UsageBlock | ReadingProblem) -> None:
        """A block is over."""
        self.trouble = found if isinstance(found, ReadingProblem) else _incomparable(found)
        if isinstance(found, UsageBlock) and self.trouble is None:
            self._last = found.canary, found.stable
            self._ratio.block(found.canary, found.stable)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"ratio": self._ratio.snapshot(), "last": plains(self._last)}

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._ratio.restore(data["ratio"])
        canary, stable = reals(data["last"], 2)
        self._last = canary, stable

    def finding(self) -> Finding:
        """What it says now."""
        found = self._ratio
        blocks = len(found.logs)
        known = blocks >= MIN_BLOCKS
        better = math.exp(min(found.less, 600.0)) if found.less else 1.0
        canary, stable = self._last
        return Finding(
            name=self.name,
            verdict=self._verdict(known=known),
            sentence=self._sentence(blocks),
            comparison=comparison_of(self.harm, better) if known and not self.trouble else None,
            canary=canary if blocks else None,
            stable=stable if blocks else None,
            ratio=found.ratio,
            interval=found.interval(0.05),
            unit="block",
            samples=SampleSizes(blocks, blocks),
            evidence=self.harm,
            threshold=self._threshold,
            better=better,
            missing=""
            if known
            else f"{wording.counted(MIN_BLOCKS - blocks, 'more block')} of {wording.seconds(self.spec.block)}",
            action=self.action,
            dry_run=self.dry_run,
            unknown=self.trouble is not None and self.trouble.unknown,
        )

    def _verdict(self, *, known: bool) -> Verdict:
        if self.trouble or not known:
            return "inconclusive"
        return current_verdict(self.harm, self._threshold, seen=True)

    def _sentence(self, blocks: int) -> str:
        if self.trouble is not None:
            return f"{self.spec.name}: {self.trouble.text}"
        ratio = self._ratio.ratio
        if ratio is None:
            return f"{self.spec.name}: nothing was compared yet"
        data = wording.times(ratio, self._ratio.interval(0.05), "stable's use per request")
        proven = wording.evidence(self.harm, self._threshold)
        return f"{self.spec.name}: {data} over {wording.counted(blocks, 'block')}, {proven}"


def _incomparable(found: UsageBlock) -> ReadingProblem | None:
    """Why the two cannot be compared; None if they can."""
    low, high = sorted(found.rates)
    if not low or high / low >= UNEVEN:
        canary, stable = map(wording.number, found.rates)
        return ReadingProblem(
            f"an endpoint of the canary serves {canary} requests/s and one of stable {stable}; use per request can be "
            f"compared while they differ by less than {UNEVEN:.0f} times: give both a similar load per endpoint, such "
            "as weight 50 with as many endpoints"
        )
    if found.canary <= 0 or found.stable <= 0:
        return ReadingProblem("nothing was used in a whole block; a longer `block` may help")
    return None
