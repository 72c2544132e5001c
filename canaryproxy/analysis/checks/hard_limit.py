"""The hard limit: however little is known, a canary that fails so much of its last requests is taken back at once. It
counts requests whatever the unit of evidence is, and stands down while stable fails as well: then it is the world that
is ill.
"""

import math
from collections import deque

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action, HardLimitSpec
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.document import Document, items

WINDOW_REQUESTS = 600
"""Reports that are looked back over to gather enough requests."""

BOTH = 0.5
"""It acts only where stable's rate is below this many times the canary's."""

TIMES = 3
"""As many requests of stable as of the canary it takes, times this."""

SURE = 3.0
"""Standard deviations within which stable's rate is believed to be."""


class HardLimitCheck:
    """The last requests of both versions, report by report: each is about the same moments of both, so what befalls
    them together is seen in both together.
    """

    name = "limit:error_rate"
    action: Action = "rollback"
    dry_run = False

    def __init__(self, spec: HardLimitSpec) -> None:
        self._spec = spec
        self._reports: deque[Block] = deque(maxlen=WINDOW_REQUESTS)
        self._open = NOTHING
        self._said: Block | None = None

    def __repr__(self) -> str:
        return f"<HardLimitCheck over {len(self._reports)} reports>"

    def count(self, block: Block) -> None:
        """Requests that ended, of a report that is being read."""
        self._open += block

    def reported(self) -> None:
        """The report is read."""
        if self._open == NOTHING:
            return
        self._reports.append(self._open)
        failed, self._open = self._open.canary_failed, NOTHING
        if failed:
            recent = self.recent()
            if self._beyond(recent):
                self._said = recent

    def recent(self) -> Block:
        """The latest reports that hold enough requests of both, or all that are kept."""
        found, least = NOTHING, self._spec.min_requests
        for block in reversed(self._reports):
            found += block
            if found.canary >= least and found.stable >= TIMES * least:
                break
        return found

    def _beyond(self, block: Block) -> bool:
        if block.canary < self._spec.min_requests or block.stable < TIMES * self._spec.min_requests:
            return False
        rate = block.canary_failed / block.canary
        return rate >= self._spec.error_rate and _at_most(block.stable_failed, block.stable) < BOTH * rate

    @property
    def failed(self) -> bool:
        """Whether it was passed, once."""
        return self._said is not None

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "reports": [block.snapshot() for block in self._reports],
            "open": self._open.snapshot(),
            "passed": None if self._said is None else self._said.snapshot(),
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._reports = deque(map(Block.restored, items(data["reports"])), maxlen=WINDOW_REQUESTS)
        self._open = Block.restored(data["open"])
        self._said = None if data["passed"] is None else Block.restored(data["passed"])

    def finding(self) -> Finding:
        """What it says now."""
        block = self._said or self.recent()
        verdict: Verdict = "fail" if self.failed else "pass"
        rate = block.canary_failed / block.canary if block.canary else None
        return Finding(
            name=self.name,
            verdict=verdict,
            sentence=f"canary failed {block.canary_failed:,.0f} of its last "
            f"{wording.counted(int(block.canary), 'request')} "
            f"(limit {wording.percent(self._spec.error_rate)} of at least {self._spec.min_requests:,}), "
            f"stable {block.stable_failed:,.0f} of {block.stable:,.0f}",
            canary=rate,
            stable=block.stable_failed / block.stable if block.stable else None,
            unit="request",
            samples=SampleSizes(int(block.canary), int(block.stable)),
            evidence=rate or 0.0,
            threshold=self._spec.error_rate,
        )


def _at_most(failed: float, count: float) -> float:
    """What a rate of which so much was seen is at most, but for bad luck (Wilson 1927)."""
    share, square = failed / count, SURE * SURE
    middle = share + square / (2 * count)
    reach = SURE * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return (middle + reach) / (1 + square / count)
