"""Cohorts: requests by the second in which they began, until all have ended or the wait for them is over.

The comparison is between requests that began together. Otherwise a canary that fails slowly would be compared with
later requests of stable, and a canary that hangs would look idle. A request without a response when its cohort is
closed counts as failed and as the slowest, in both versions, even if it ends later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from canaryproxy.analysis.stats.rank_tests import LAST
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block
from canaryproxy.model.report import CounterDelta, OpenRequests

# Seconds after which the late end of a hung request is no longer recognised.
MAX_COHORT_SECONDS = 3600

# Histograms of canary and stable, in buckets of `stats.rank_tests`.
Pair = tuple[dict[int, int], dict[int, int]]


@dataclass(slots=True)
class Cohort:
    """Requests that began in one second. `pending` are those that are in no block yet."""

    pending: Block = NOTHING
    canary: dict[int, int] = field(default_factory=dict)
    stable: dict[int, int] = field(default_factory=dict)


class Cohorts:
    """Open and recently closed cohorts of a route. Times are whole seconds of the clock of the reports."""

    def __init__(self, closed_until: int = -1) -> None:
        self._open: dict[int, Cohort] = {}
        self._carried = NOTHING
        self._hung: dict[tuple[str, int], int] = {}
        self._closed_until = closed_until
        self._touched: set[int] = set()

    def __repr__(self) -> str:
        return f"<Cohorts: {len(self._open)} open, closed until {self._closed_until}>"

    def count(self, cell: CounterDelta, ended: int, failed: int, *, timed: bool) -> Block:
        """Add requests of a cell: the number that ended, and that failed; their latencies only if `timed`. Returns the
        block without requests that were counted as hung before.
        """
        second, canary = cell.second, cell.key.version == "canary"
        latency = cell.latency if timed else {}
        if second <= self._closed_until:
            known = min(self._hung.get((cell.key.version, second), 0), ended)
            if known:
                self._hung[cell.key.version, second] -= known
                ended, failed, latency = ended - known, max(0, failed - known), {}
            # Late ends of requests that were not counted as hung go to the oldest open cohort.
            second = self._closed_until + 1
        block = Block(ended, failed, 0, 0) if canary else Block(0, 0, ended, failed)
        if not ended and not latency:
            return block
        cohort = self._open.get(second)
        if cohort is None:
            cohort = self._open[second] = Cohort()
        if ended:
            cohort.pending += block
            self._touched.add(second)
        mine = cohort.canary if canary else cohort.stable
        for bucket, count in latency.items():
            mine[bucket >> 1] = mine.get(bucket >> 1, 0) + count
        return block

    def blocks(self) -> Iterator[Block]:
        """Blocks with both versions, of the cohorts that changed since the last call."""
        for second in sorted(self._touched):
            cohort = self._open[second]
            block = self._carried + cohort.pending
            if block.whole:
                self._carried = cohort.pending = NOTHING
                yield block
        self._touched.clear()

    def close(self, until: int, waiting: Sequence[OpenRequests], *, timed: bool) -> Iterator[tuple[Block, Pair, Block]]:
        """Close the cohorts up to this second. For each: the last block to judge (may be empty), the latencies, and the
        hung requests, which are part of the last block too.
        """
        hung: dict[int, list[int]] = {}
        for one in waiting:
            if self._closed_until < one.second <= until:
                hung.setdefault(one.second, [0, 0])[one.key.version != "canary"] += one.count
                key = one.key.version, one.second
                self._hung[key] = self._hung.get(key, 0) + one.count
        for second in sorted({second for second in self._open if second <= until} | hung.keys()):
            cohort = self._open.pop(second, None) or Cohort()
            self._touched.discard(second)
            canary, stable = hung.get(second, (0, 0))
            vain = Block(canary, canary, stable, stable)
            if timed and canary:
                cohort.canary[LAST] = canary
            if stable:
                cohort.stable[LAST] = stable
            block = self._carried + cohort.pending + vain
            self._carried = NOTHING if block.whole else block
            yield block if block.whole else NOTHING, (cohort.canary, cohort.stable), vain
        self._closed_until = max(self._closed_until, until)
        for key in [key for key in self._hung if key[1] < until - MAX_COHORT_SECONDS]:
            del self._hung[key]
