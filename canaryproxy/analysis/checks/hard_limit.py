"""The hard limit: a canary that fails too much of its last requests is rolled back at once, without statistics.

It counts requests, also if evidence counts other units. It does not apply while stable fails as well: then the cause is
the environment.
"""

import math
from collections import deque

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import Finding, SampleSizes, Verdict
from canaryproxy.analysis.spec import Action, HardLimitSpec
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.document import Document, items

# Reports that are kept, to have enough requests.
WINDOW_REPORTS = 600

# It applies only if stable's rate is below this multiple of the canary's.
BOTH = 0.5

# It needs this many times as many requests of stable as of the canary.
TIMES = 3

# Standard deviations of the upper limit of stable's rate.
SURE = 3.0


class HardLimitCheck:
    """The last requests of both versions, report by report. A report covers the same time of both versions, so an event
    that affects both is seen in both.
    """

    name = "limit:error_rate"
    action: Action = "rollback"
    dry_run = False

    def __init__(self, spec: HardLimitSpec) -> None:
        self._spec = spec
        self._reports: deque[Block] = deque(maxlen=WINDOW_REPORTS)
        self._open = NOTHING
        self._passed: Block | None = None

    def __repr__(self) -> str:
        return f"<HardLimitCheck over {len(self._reports)} reports>"

    def count(self, block: Block) -> None:
        """Add requests that ended, from the report that is being read."""
        self._open += block

    def reported(self) -> None:
        """End the report."""
        if self._open == NOTHING:
            return
        self._reports.append(self._open)
        failed, self._open = self._open.canary_failed, NOTHING
        # Only a report with a failure of the canary can exceed the limit.
        if failed and self._exceeded(recent := self.recent()):
            self._passed = recent

    def recent(self) -> Block:
        """The fewest latest reports with enough requests of both versions, or all that are kept."""
        found, least = NOTHING, self._spec.min_requests
        for block in reversed(self._reports):
            found += block
            if found.canary >= least and found.stable >= TIMES * least:
                break
        return found

    def _exceeded(self, block: Block) -> bool:
        if block.canary < self._spec.min_requests or block.stable < TIMES * self._spec.min_requests:
            return False
        rate = block.canary_failed / block.canary
        return rate >= self._spec.error_rate and _at_most(block.stable_failed, block.stable) < BOTH * rate

    @property
    def failed(self) -> bool:
        """Whether the limit was exceeded at any time."""
        return self._passed is not None

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "reports": [block.snapshot() for block in self._reports],
            "open": self._open.snapshot(),
            "passed": None if self._passed is None else self._passed.snapshot(),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        self._reports = deque(map(Block.restored, items(data["reports"])), maxlen=WINDOW_REPORTS)
        self._open = Block.restored(data["open"])
        self._passed = None if data["passed"] is None else Block.restored(data["passed"])

    def finding(self) -> Finding:
        """The present finding."""
        block = self._passed or self.recent()
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
    """The upper limit of a rate (Wilson 1927)."""
    share, square = failed / count, SURE * SURE
    middle = share + square / (2 * count)
    reach = SURE * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return (middle + reach) / (1 + square / count)
