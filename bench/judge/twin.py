"""The product's evidence for thousands of runs at once: the same arithmetic as `canaryproxy.analysis`, on arrays whose
last axis is the run. `bench.judge.equality` compares it with the real code, look by look.
"""

import numpy as np

from canaryproxy.analysis.stats import rank_tests, rate_tests
from canaryproxy.analysis.stats.eprocess import MAX_FACTOR, MAX_HORIZON
from canaryproxy.analysis.stats.rank_tests import LEHMANN, ODDS, TAILS, WEIGHTS, Shift


class EDetectors:
    """`EDetector` of many runs."""

    def __init__(self, weights: tuple[float, ...], runs: int) -> None:
        self._weights = np.array(weights)[:, None]
        self._sums = np.zeros((len(weights), runs))
        self._looks = np.zeros(runs, dtype=np.int64)
        self._spent = np.zeros(runs)
        self.value = np.ones(runs)

    def bet(self, logs: np.ndarray, which: np.ndarray) -> None:
        """Bet in these runs; `logs` has one column for each of them."""
        looks = self._looks[which] + 1
        start = 0.5 * MAX_HORIZON / (MAX_HORIZON + looks) ** 2 + np.where(looks == 1, 0.5, 0.0)
        with np.errstate(over="ignore"):
            sums = np.minimum((self._sums[:, which] + start) * np.exp(logs), MAX_FACTOR)
        self._looks[which] = looks
        self._spent[which] += start
        self._sums[:, which] = sums
        self.value[which] = (self._weights * sums).sum(axis=0) + (1 - self._spent[which])


class HigherRates:
    """`HigherRate` of many runs; blocks are added up until both versions are in them."""

    def __init__(self, ratio: float, floor: float, runs: int) -> None:
        self._ratio, self._floor_at = ratio, floor
        self._excess = np.array(rate_tests.HIGHER)[:, None]
        self._above = np.array([one for one in rate_tests.ABOVE_FLOOR if one * floor < 1])[:, None]
        self._carried = np.zeros((4, runs))
        self.relative = EDetectors((1 / len(rate_tests.HIGHER),) * len(rate_tests.HIGHER), runs)
        self.floor = EDetectors((1 / len(self._above),) * len(self._above), runs)

    def bet(self, canary: np.ndarray, canary_failed: np.ndarray, stable: np.ndarray, stable_failed: np.ndarray) -> None:
        """One look."""
        self._carried += (canary, canary_failed, stable, stable_failed)
        which = np.flatnonzero((self._carried[0] > 0) & (self._carried[2] > 0))
        n_c, e_c, n_s, e_s = self._carried[:, which]
        self._carried[:, which] = 0
        expected = self._ratio * n_c
        mean = (self._excess * expected + n_s) / (expected + n_s)
        self.relative.bet(e_c * np.log(self._excess) - (e_c + e_s) * np.log(mean), which)
        hit = np.log(self._above)
        missed = np.log((1 - self._above * self._floor_at) / (1 - self._floor_at))
        self.floor.bet(e_c * hit + (n_c - e_c) * missed, which)

    @property
    def value(self) -> np.ndarray:
        """The evidence of each run."""
        return np.minimum(self.relative.value, self.floor.value)


class Slower:
    """`rank_tests.slower` of many runs. `buckets` is the range of buckets; lower values count as the first."""

    def __init__(self, tolerance: float, floor: float, buckets: range, runs: int) -> None:
        self._first = buckets.start
        shift = Shift(tolerance, floor, up=False)
        self._to = np.array([max(shift.of(one), buckets.start) - buckets.start for one in buckets])
        self._past = np.zeros((runs, len(buckets)))
        self._seen = np.zeros(runs)
        self._read = np.zeros(runs)
        self._table = np.ones((runs, len(buckets), len(WEIGHTS)))
        self._logs = np.zeros_like(self._table)
        self.evidence = EDetectors(WEIGHTS, runs)

    @property
    def value(self) -> np.ndarray:
        """The evidence of each run."""
        return self.evidence.value

    def bet(self, canary: np.ndarray, stable: np.ndarray, which: np.ndarray) -> None:
        """Bet on blocks of these runs: histograms, a row for each."""
        old = which[
            (self._seen[which] >= rank_tests.MIN_REQUESTS)
            & (self._seen[which] >= rank_tests.REFRESH_RATIO * self._read[which])
        ]
        if old.size:
            self._read_ranks(old)
        able = self._seen[which] >= rank_tests.MIN_REQUESTS
        if able.any():
            self._bet(canary[able], stable[able], which[able])
        self._past[which] += stable
        self._seen[which] += stable.sum(axis=1)

    def _bet(self, canary: np.ndarray, stable: np.ndarray, which: np.ndarray) -> None:
        shifted = np.zeros_like(canary)
        for bucket, to in enumerate(self._to):
            shifted[:, to] += canary[:, bucket]
        share = shifted.sum(axis=1) / (shifted.sum(axis=1) + stable.sum(axis=1))
        for begin in range(0, which.size, CHUNK):
            part = slice(begin, begin + CHUNK)
            runs = which[part]
            total = shifted[part] + stable[part]
            used = np.flatnonzero(total.any(axis=0))
            worth = np.log1p(share[part, None, None] * (self._table[runs[:, None], used] - 1))
            logs = np.einsum("rb,rba->ar", shifted[part][:, used], self._logs[runs[:, None], used])
            self.evidence.bet(logs - np.einsum("rb,rba->ar", total[:, used], worth), runs)

    def _read_ranks(self, which: np.ndarray) -> None:
        for begin in range(0, which.size, CHUNK):
            runs = which[begin : begin + CHUNK]
            past, total = self._past[runs], self._seen[runs][:, None]
            until = past.cumsum(axis=1)
            rank = np.minimum((until - past / 2) / total, rank_tests.CLIP)[:, :, None]
            kappa = np.array(LEHMANN)
            parts = [kappa * (1 - rank) ** (kappa - 1)]
            places = np.arange(past.shape[1])
            for q in TAILS:
                last = (until >= q * total).argmax(axis=1)
                share = 1 - until[np.arange(runs.size), last][:, None] / total
                odds = np.array(ODDS)
                grown = odds * share / (1 - share + odds * share)
                with np.errstate(divide="ignore", invalid="ignore"):
                    beyond = np.where(share > 0, grown / share, 1.0)
                    before = np.where(share > 0, (1 - grown) / (1 - share), 1.0)
                slow = (places[None, :] > last[:, None])[:, :, None]
                parts.append(np.where(slow, beyond[:, None, :], before[:, None, :]))
            self._table[runs] = np.concatenate(parts, axis=2)
            self._logs[runs] = np.log(self._table[runs])
            self._read[runs] = self._seen[runs]


CHUNK = 250
"""Number of runs in a batch: as many as fit into the cache of the processor."""
