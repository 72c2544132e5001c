"""Tests of latency: is the canary slower than stable by more than the tolerance? By ranks on shared buckets.

Any positive function l of a latency, fixed before the block, gives an e-value: the product of l over the canary's
requests, divided by the product of 1 + share * (l - 1) over all requests. If both versions have one distribution, *any*
distribution, its mean is at most 1, by the inequality of the arithmetic and geometric mean; if l increases, also if the
canary is faster. The bets are Lehmann's alternatives of the rank (Lehmann 1953), and more requests beyond stable's p95
and p99.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import EDetector, EProcess, even_weights
from canaryproxy.model.document import Document, counts, pairs
from canaryproxy.telemetry.record.histogram import quantile

# Bucket -> count. Bucket i holds values above 2^(i/16) and at most 2^((i+1)/16) seconds: OpenTelemetry scale 4.
Histogram = Mapping[int, int]

PER_OCTAVE = 16
# The bucket of requests without a response in time, above all other buckets.
LAST = 1 << 20

# The lowest bucket, just below a microsecond.
LOWEST = -20 * PER_OCTAVE

# Requests of stable that the ranks need.
MIN_REQUESTS = 100

# Upper limit of a rank, so that no single request decides.
CLIP = 1 - 2e-4

# Alternatives: the canary's share above a value is stable's share to the power of this exponent.
LEHMANN = (0.9, 0.8, 0.65, 0.45, 0.25)

# Alternatives: factors on the odds of being beyond a quantile of stable.
ODDS = (1.3, 1.8, 3.0, 6.0, 15.0)

TAILS = (0.95, 0.99)

# Weights of the fifteen alternatives: half on the whole distribution, a quarter on each tail.
WEIGHTS = tuple(0.5 * one for one in even_weights(5)) + tuple(0.25 * one for one in even_weights(5)) * 2

# Growth of stable's requests after which the ranks are computed again. Old ranks are valid, but have less power.
REFRESH_RATIO = 1.1


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of the canary's latencies before the comparison: value / ratio - floor, rounded against the version that
    it favours. With `ratio` > 1 and `floor` > 0 (seconds) the canary may be slower by that much.
    """

    ratio: float
    floor: float
    up: bool

    def of(self, bucket: int) -> int:
        """The bucket after the change, by the lower edge (with `up`, by the upper edge), at least the lowest bucket."""
        if bucket >= LAST:
            return LAST
        value = 2.0 ** ((bucket + self.up) / PER_OCTAVE) / self.ratio - self.floor
        if value <= 0:
            return LOWEST
        index = math.log2(value) * PER_OCTAVE
        whole = math.ceil(index - NEARLY) - 1 if self.up else math.floor(index + NEARLY)
        return max(whole, LOWEST)

    def apply(self, histogram: Histogram) -> dict[int, int]:
        """The histogram after the change."""
        moved: dict[int, int] = {}
        for bucket, count in histogram.items():
            to = self.of(bucket)
            moved[to] = moved.get(to, 0) + count
        return moved


# Rounding error of the index of a bucket: an edge may come out slightly beside its true value.
NEARLY = 1e-9


def lehmann(rank: float, exponent: float) -> float:
    """The likelihood ratio of a rank under Lehmann's alternative."""
    return float(exponent * (1 - rank) ** (exponent - 1))


def exceedance(share: float, odds: float) -> tuple[float, float]:
    """The likelihood ratios of a value beyond and before the threshold, with the odds multiplied by `odds`."""
    if not 0 < share < 1:
        return 1.0, 1.0
    grown = odds * share / (1 - share + odds * share)
    return grown / share, (1 - grown) / (1 - share)


class RankTable:
    """The fifteen bets for every bucket, by the past of stable (`total` requests). `slower`: bet on longer latencies,
    else on shorter ones.
    """

    def __init__(self, past: Histogram, *, slower: bool) -> None:
        self._past = past
        self.total = sum(past.values())
        self._exponents = [one if slower else 1 / one for one in LEHMANN]
        self._tails = [
            (threshold, [exceedance(share, one if slower else 1 / one) for one in ODDS])
            for threshold, share in map(self.tail, TAILS)
        ]
        self._known: dict[int, tuple[float, ...]] = {}

    def __repr__(self) -> str:
        return f"<RankTable of {self.total} requests>"

    def tail(self, q: float) -> tuple[int, float]:
        """The first bucket wholly above the q-quantile, and the share of requests from there on."""
        left = self.total
        for bucket in sorted(self._past):
            left -= self._past[bucket]
            if self.total - left >= q * self.total:
                return bucket + 1, left / self.total
        raise AssertionError("no bucket holds the quantile")

    def of(self, bucket: int) -> tuple[float, ...]:
        """The likelihood ratios of a bucket, for each alternative."""
        known = self._known.get(bucket)
        if known is None:
            # The rank of the middle of the bucket.
            below = sum(count for one, count in self._past.items() if one < bucket)
            rank = min((below + self._past.get(bucket, 0) / 2) / self.total, CLIP)
            ratios = [lehmann(rank, one) for one in self._exponents]
            for threshold, odds in self._tails:
                ratios += [beyond if bucket >= threshold else before for beyond, before in odds]
            known = self._known[bucket] = tuple(ratios)
        return known

    def logs(self, canary: Histogram, stable: Histogram) -> list[float]:
        """Ln e of a block, for each alternative. The canary's histogram is shifted already."""
        count = sum(canary.values())
        share = count / (count + sum(stable.values()))
        logs = [0.0] * len(WEIGHTS)
        for bucket in canary.keys() | stable.keys():
            drawn = canary.get(bucket, 0)
            total = drawn + stable.get(bucket, 0)
            for number, ratio in enumerate(self.of(bucket)):
                logs[number] -= total * math.log1p(share * (ratio - 1))
                if drawn:
                    logs[number] += drawn * math.log(ratio)
        return logs


class StableHistory:
    """The latencies of stable so far, from which ranks are computed. A block is added after the bet on it."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._tables: dict[bool, RankTable] = {}
        self._slowest: tuple[int, float | None] = (0, None)
        self.total = 0

    def __repr__(self) -> str:
        return f"<StableHistory of {self.total} requests>"

    def add(self, block: Histogram) -> None:
        """Add requests of stable."""
        for bucket, count in block.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
            self.total += count

    def table(self, *, slower: bool) -> RankTable | None:
        """The bets for the next block; None with too few requests before it."""
        if self.total < MIN_REQUESTS:
            return None
        table = self._tables.get(slower)
        if table is None or self.total >= REFRESH_RATIO * table.total:
            table = self._tables[slower] = RankTable(dict(self._counts), slower=slower)
        return table

    @property
    def slowest(self) -> float | None:
        """The 99.9 % quantile of requests with a response, in seconds; None before the first request."""
        known, slowest = self._slowest
        if self.total >= REFRESH_RATIO * known and self.total > known:
            answered = {bucket << 1: count for bucket, count in self._counts.items() if bucket < LAST}
            slowest = quantile(answered, 0.999)
            self._slowest = self.total, slowest
        return slowest

    def snapshot(self) -> list[list[int]]:
        """As plain data: buckets with their counts."""
        return pairs(self._counts)

    def restore(self, data: object) -> None:
        """Continue from a snapshot. Raises `ValueError` and `TypeError`."""
        self._counts = counts(data)
        self._tables, self._slowest = {}, (0, None)
        self.total = sum(self._counts.values())


class RankTest:
    """A test on blocks of both versions' histograms, by the past of stable. The canary's histogram is shifted first."""

    __slots__ = ("_evidence", "_past", "_shift", "_slower")

    def __init__(
        self, past: StableHistory, shift: Shift, evidence: EDetector | EProcess, *, slower: bool = False
    ) -> None:
        self._past = past
        self._shift = shift
        self._evidence = evidence
        self._slower = slower

    def __repr__(self) -> str:
        return f"<RankTest: {self._evidence!r}>"

    def bet(self, canary: Histogram, stable: Histogram, *, dispersion: float = 1.0) -> None:
        """Bet on a block with requests of both versions that is not in the past yet. The first blocks only fill the
        past. `dispersion` divides the evidence of a block: see `HigherRate.bet`.
        """
        table = self._past.table(slower=self._slower)
        if table is not None:
            logs = table.logs(self._shift.apply(canary), stable)
            self._evidence.bet([one / dispersion for one in logs])

    @property
    def value(self) -> float:
        """The evidence."""
        return self._evidence.value

    def snapshot(self) -> Document:
        """As plain data."""
        return self._evidence.snapshot()

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        self._evidence.restore(data)


def slower(past: StableHistory, tolerance: float, floor: float) -> RankTest:
    """Evidence that the canary is slower than stable by more than `tolerance` (1.1 is 10 %) and `floor` seconds."""
    return RankTest(past, Shift(tolerance, floor, up=False), EDetector(WEIGHTS), slower=True)


def no_slower(past: StableHistory, margin: float, floor: float) -> RankTest:
    """Evidence that the canary is slower than stable by less than `margin` and `floor` seconds: non-inferiority."""
    return RankTest(past, Shift(margin, floor, up=True), EProcess(WEIGHTS))


def faster(past: StableHistory, tolerance: float, floor: float) -> RankTest:
    """Evidence that the canary is faster than stable by more than `tolerance` and `floor` seconds."""
    return RankTest(past, Shift(1 / tolerance, -floor, up=True), EDetector(WEIGHTS))
