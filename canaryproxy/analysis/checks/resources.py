"""Resource checks: does the canary use more of a resource per request, by its own metrics?"""

import math

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, comparison_of, current_verdict
from canaryproxy.analysis.spec import Action, ResourceSpec
from canaryproxy.analysis.stats.paired_blocks import MIN_BLOCKS, PerRequest
from canaryproxy.analysis.usage import ReadingProblem, UsageBlock
from canaryproxy.model.document import Document, plains, reals

# Requests per second and endpoint of both versions must differ by less than this factor: a busy process needs less per
# request, so the check would compare weights instead of versions.
UNEVEN = 2.0


class ResourceCheck:
    """One resource, block by block. `problem` is why it cannot be read or compared at present; None if it can."""

    problem: ReadingProblem | None

    def __init__(self, spec: ResourceSpec, threshold: float) -> None:
        self.name = f"resource:{spec.name}"
        self.spec = spec
        self._threshold = threshold
        self.action: Action = spec.on_failure
        self.dry_run = spec.dry_run
        self.problem = ReadingProblem("the first block is not over yet")
        self._ratio = PerRequest(spec.tolerance)
        self._last = (0.0, 0.0)

    def __repr__(self) -> str:
        return f"<ResourceCheck {self.spec.name}: {len(self._ratio.logs)} blocks>"

    @property
    def harm(self) -> float:
        """Evidence that the canary uses more."""
        return math.exp(min(self._ratio.more, 600.0)) if self._ratio.more else 1.0

    def block(self, found: UsageBlock | ReadingProblem) -> None:
        """Add a block."""
        self.problem = found if isinstance(found, ReadingProblem) else _incomparable(found)
        if isinstance(found, UsageBlock) and self.problem is None:
            self._last = found.canary, found.stable
            self._ratio.block(found.canary, found.stable)

    def snapshot(self) -> Document:
        """As plain data."""
        return {"ratio": self._ratio.snapshot(), "last": plains(self._last)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._ratio.restore(data["ratio"])
        canary, stable = reals(data["last"], 2)
        self._last = canary, stable

    def finding(self) -> Finding:
        """The present finding."""
        found = self._ratio
        blocks = len(found.logs)
        known, more = blocks >= MIN_BLOCKS, wording.counted(MIN_BLOCKS - blocks, "more block")
        better = math.exp(min(found.less, 600.0)) if found.less else 1.0
        canary, stable = self._last
        return Finding(
            name=self.name,
            verdict="inconclusive"
            if self.problem or not known
            else current_verdict(self.harm, self._threshold, seen=True),
            sentence=self._sentence(blocks),
            comparison=comparison_of(self.harm, better) if known and not self.problem else None,
            canary=canary if blocks else None,
            stable=stable if blocks else None,
            ratio=found.ratio,
            interval=found.interval(0.05),
            unit="block",
            samples=SampleSizes(blocks, blocks),
            evidence=self.harm,
            threshold=self._threshold,
            better=better,
            missing="" if known else f"{more} of {wording.seconds(self.spec.block)}",
            action=self.action,
            dry_run=self.dry_run,
            unknown=self.problem is not None and self.problem.unknown,
        )

    def _sentence(self, blocks: int) -> str:
        if self.problem is not None:
            return f"{self.spec.name}: {self.problem.text}"
        ratio = self._ratio.ratio
        if ratio is None:
            return f"{self.spec.name}: nothing was compared yet"
        compared = wording.times(ratio, self._ratio.interval(0.05), "stable's use per request")
        proven = wording.evidence(self.harm, self._threshold)
        return f"{self.spec.name}: {compared} over {wording.counted(blocks, 'block')}, {proven}"


def _incomparable(found: UsageBlock) -> ReadingProblem | None:
    """Why both versions cannot be compared; None if they can."""
    low, high = sorted(found.rates)
    if not low or high / low >= UNEVEN:
        canary, stable = map(wording.number, found.rates)
        return ReadingProblem(
            f"an endpoint of the canary serves {canary} requests/s and one of stable {stable}; use per request can be "
            f"compared while they differ by less than {UNEVEN:.0f} times: give both a similar load per endpoint, such "
            "as weight 50 with as many endpoints"
        )
    if found.canary <= 0 or found.stable <= 0:
        return ReadingProblem("no use was measured in a whole block; a longer `block` may help")
    return None
