"""Latency: whether the canary's is longer than stable's by more than is tolerated, by ranks on shared buckets.

Any positive function l of a latency, fixed before the block, gives an e-value: the product of l over the canary's
requests, by the product of 1 + share * (l - 1) over all. Under "one distribution for both" its mean is at most 1, by
the inequality of the arithmetic and geometric mean, for *any* distribution; with l increasing also where the canary is
faster. We bet on Lehmann's alternatives of the rank (Lehmann 1953), and on more requests beyond stable's p95 and p99.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from canaryproxy.analysis.stats.eprocess import EDetector, EProcess, even_weights
from canaryproxy.model import document
from canaryproxy.model.document import Document
from canaryproxy.telemetry.record.histogram import quantile

Histogram = Mapping[int, int]
"""Bucket -> count. Bucket i holds values above 2^(i/16) and at most 2^((i+1)/16) seconds: OpenTelemetry scale 4."""

PER_OCTAVE = 16
LAST = 1 << 20
"""The bucket of requests that had no answer in time, above all others."""

LOWEST = -20 * PER_OCTAVE
"""The bucket just below a microsecond: nothing is shorter."""

MIN_REQUESTS = 100
"""Stable's requests that ranks need."""

CLIP = 1 - 2e-4
"""Ranks above this count as this: no single request shall decide."""

LEHMANN = (0.9, 0.8, 0.65, 0.45, 0.25)
"""Exponents: the canary's share above a value is stable's to the power of this."""

ODDS = (1.3, 1.8, 3.0, 6.0, 15.0)
"""By how much the odds of being beyond stable's quantile may have grown."""

TAILS = (0.95, 0.99)

WEIGHTS = tuple(0.5 * one for one in even_weights(5)) + tuple(0.25 * one for one in even_weights(5)) * 2
"""Of the fifteen alternatives: half on the whole distribution, a quarter on each tail."""

REFRESH_RATIO = 1.1
"""The ranks are read again once stable has this many times the requests. Old ranks only cost power."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of the canary's latencies before they are compared: value / ratio - seconds, rounded against whom it
    helps. `ratio` > 1 and `floor` > 0 (seconds) is what the canary may be slower by.
    """

    ratio: float
    floor: float
    up: bool

    def of(self, bucket: int) -> int:
        """Where a bucket goes: by its lower edge (by its upper one with `up`), at least the lowest."""
        if bucket >= LAST:
            return LAST
        value = 2.0 ** ((bucket + self.up) / PER_OCTAVE) / self.ratio - self.floor
        if value <= 0:
            return LOWEST
        index = math.log2(value) * PER_OCTAVE
        whole = math.ceil(index - NEARLY) - 1 if self.up else math.floor(index + NEARLY)
        return max(whole, LOWEST)

    def apply(self, counts: Histogram) -> dict[int, int]:
        """The histogram after the change."""
        moved: dict[int, int] = {}
        for bucket, count in counts.items():
            to = self.of(bucket)
            moved[to] = moved.get(to, 0) + count
        return moved


NEARLY = 1e-9
"""Of a bucket: an edge that comes out a little beside where it is."""


class Ranks:
    """Stable's distribution so far: where a bucket stands in it."""

    __slots__ = ("_buckets", "_past", "total")

    def __init__(self, past: Histogram) -> None:
        self._buckets = sorted(past)
        self._past = past
        self.total = sum(past.values())

    def __repr__(self) -> str:
        return f"<Ranks of {self.total} requests>"

    def middle(self, bucket: int) -> float:
        """The share below the middle of a bucket."""
        below = sum(count for one, count in self._past.items() if one < bucket)
        return min((below + self._past.get(bucket, 0) / 2) / self.total, CLIP)

    def tail(self, q: float) -> tuple[int, float]:
        """The first bucket wholly above the q-quantile, and the share from there on."""
        left = self.total
        for bucket in self._buckets:
            left -= self._past[bucket]
            if self.total - left >= q * self.total:
                return bucket + 1, left / self.total
        raise AssertionError("no bucket holds the quantile")


def lehmann(rank: float, exponent: float) -> float:
    """How much likelier a rank is under Lehmann's alternative."""
    return float(exponent * (1 - rank) ** (exponent - 1))


def exceedance(share: float, odds: float) -> tuple[float, float]:
    """How much likelier being at or beyond, and being before the threshold is, with the odds of it multiplied."""
    if not 0 < share < 1:
        return 1.0, 1.0
    grown = odds * share / (1 - share + odds * share)
    return grown / share, (1 - grown) / (1 - share)


class RankTable:
    """The fifteen bets for every bucket, as stable's past suggests. `slower` bets on longer latencies, else on
    shorter.
    """

    def __init__(self, past: Histogram, *, slower: bool) -> None:
        self._ranks = Ranks(past)
        self._exponents = [one if slower else 1 / one for one in LEHMANN]
        self._tails = [
            (threshold, [exceedance(share, one if slower else 1 / one) for one in ODDS])
            for threshold, share in map(self._ranks.tail, TAILS)
        ]
        self._known: dict[int, tuple[float, ...]] = {}

    def __repr__(self) -> str:
        return f"<RankTable by {self._ranks!r}>"

    @property
    def total(self) -> int:
        """Stable's requests that it was read from."""
        return self._ranks.total

    def of(self, bucket: int) -> tuple[float, ...]:
        """The likelihood ratios of a bucket, one for each alternative."""
        known = self._known.get(bucket)
        if known is None:
            rank = self._ranks.middle(bucket)
            ratios = [lehmann(rank, one) for one in self._exponents]
            for threshold, pairs in self._tails:
                ratios += [beyond if bucket >= threshold else before for beyond, before in pairs]
            known = self._known[bucket] = tuple(ratios)
        return known

    def logs(self, canary: Histogram, stable: Histogram) -> list[float]:
        """Ln e of a block, for each alternative. The canary's histogram has been shifted."""
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
    """Stable's latencies so far, which ranks are read from. A block comes in once it was bet on."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._tables: dict[bool, RankTable] = {}
        self._slowest: tuple[int, float | None] = (0, None)
        self.total = 0

    def __repr__(self) -> str:
        return f"<StableHistory of {self.total} requests>"

    def add(self, block: Histogram) -> None:
        """More of stable's requests."""
        for bucket, count in block.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
            self.total += count

    def table(self, *, slower: bool) -> RankTable | None:
        """What to bet on a block, by what was before it; None while that is too little."""
        if self.total < MIN_REQUESTS:
            return None
        table = self._tables.get(slower)
        if table is None or self.total >= REFRESH_RATIO * table.total:
            table = self._tables[slower] = RankTable(dict(self._counts), slower=slower)
        return table

    @property
    def slowest(self) -> float | None:
        """The time that one in a thousand takes longer than, in seconds, of those that were answered; None before the
        first.
        """
        known, slowest = self._slowest
        if self.total >= REFRESH_RATIO * known and self.total > known:
            answered = {bucket << 1: count for bucket, count in self._counts.items() if bucket < LAST}
            slowest = quantile(answered, 0.999)
            self._slowest = self.total, slowest
        return slowest

    def snapshot(self) -> list[list[int]]:
        """As plain data: buckets with their counts."""
        return document.pairs(self._counts)

    def restore(self, data: object) -> None:
        """Go on from there. Raises `ValueError` and `TypeError`."""
        self._counts = document.counts(data)
        self._tables, self._slowest = {}, (0, None)
        self.total = sum(self._counts.values())


class _Ranked:
    """Blocks of both versions' histograms, bet on by stable's past ones."""

    __slots__ = ("_evidence", "_past", "_shift", "_slower")

    _evidence: EDetector | EProcess

    def __init__(self, past: StableHistory, shift: Shift, *, slower: bool) -> None:
        self._past = past
        self._shift = shift
        self._slower = slower

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._evidence!r}>"

    def bet(self, canary: Histogram, stable: Histogram, *, dispersion: float = 1.0) -> None:
        """Bet on a block in which both versions have requests; it must not be in the past yet. The first ones are only
        learnt from. `dispersion` divides what it is worth: see `rates.Worse.bet`.
        """
        table = self._past.table(slower=self._slower)
        if table is not None:
            logs = table.logs(self._shift.apply(canary), stable)
            self._evidence.bet([one / dispersion for one in logs])

    @property
    def value(self) -> float:
        """The evidence now."""
        return self._evidence.value

    def snapshot(self) -> Document:
        """As plain data."""
        return self._evidence.snapshot()

    def restore(self, data: Document) -> None:
        """Go on from there. Raises as `EDetector.restore` does."""
        self._evidence.restore(data)


class Slower(_Ranked):
    """Evidence that the canary is slower than stable by more than `tolerance` (1.1 is 10 %) and `floor` seconds."""

    __slots__ = ()

    def __init__(self, past: StableHistory, tolerance: float, floor: float) -> None:
        super().__init__(past, Shift(tolerance, floor, up=False), slower=True)
        self._evidence = EDetector(WEIGHTS)


class NoSlower(_Ranked):
    """Evidence that the canary is not slower than stable by `margin` and `floor` seconds: non-inferiority."""

    __slots__ = ()

    def __init__(self, past: StableHistory, margin: float, floor: float) -> None:
        super().__init__(past, Shift(margin, floor, up=True), slower=False)
        self._evidence = EProcess(WEIGHTS)


class Faster(_Ranked):
    """Evidence that the canary is faster than stable by more than `tolerance` and `floor` seconds."""

    __slots__ = ()

    def __init__(self, past: StableHistory, tolerance: float, floor: float) -> None:
        super().__init__(past, Shift(1 / tolerance, -floor, up=True), slower=False)
        self._evidence = EDetector(WEIGHTS)
