"""Other judges of the same runs: fixed thresholds on a minute, and a z-test at every look."""

import numpy as np

MINUTE = 60
Z_99 = 2.3263478740408408
"""The z of a one-sided p of 1 %."""

LEAST = 30
"""Requests of the canary that the z-test needs."""


class FixedRule:
    """A limit on the canary's error rate in a minute, as in the examples of Flagger and Argo Rollouts: counts how often
    it is exceeded. A minute without requests passes, unlike in Flagger.
    """

    def __init__(self, most: float, runs: int) -> None:
        self._most = most
        self._counts = np.zeros((2, runs))
        self.strikes = np.zeros(runs, dtype=np.int64)

    def look(self, second: int, canary: np.ndarray, failed: np.ndarray) -> None:
        """Add a second; the minute is judged at its end."""
        self._counts += (canary, failed)
        if second % MINUTE == MINUTE - 1:
            self.strikes += self._counts[1] > self._most * self._counts[0]
            self._counts[:] = 0


class PeekedZ:
    """The pooled z-test on everything so far."""

    def __init__(self, runs: int) -> None:
        self._counts = np.zeros((4, runs))

    def look(self, canary: np.ndarray, failed: np.ndarray, stable: np.ndarray, stable_failed: np.ndarray) -> np.ndarray:
        """Add a second; returns the z of each run, 0 with too few requests."""
        self._counts += (canary, failed, stable, stable_failed)
        n_c, e_c, n_s, e_s = self._counts
        with np.errstate(divide="ignore", invalid="ignore"):
            pooled = (e_c + e_s) / (n_c + n_s)
            z = (e_c / n_c - e_s / n_s) / np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_s))
        return np.where((n_c >= LEAST) & np.isfinite(z), z, 0.0)


class SlowRule:
    """A limit on the ratio of the 95 % quantiles of a minute, on histograms of consecutive buckets."""

    def __init__(self, most_steps: int, runs: int, buckets: int) -> None:
        self._most = most_steps
        self._counts = np.zeros((2, runs, buckets))
        self.strikes = np.zeros(runs, dtype=np.int64)

    def look(self, seconds: int, canary: np.ndarray, stable: np.ndarray) -> None:
        """Add a second; the minute is judged at its end."""
        self._counts += (canary, stable)
        if seconds % MINUTE == 0:
            at = [(side.cumsum(axis=1) >= 0.95 * side.sum(axis=1)[:, None]).argmax(axis=1) for side in self._counts]
            self.strikes += (at[0] - at[1] > self._most) & (self._counts[0].sum(axis=1) > 0)
            self._counts[:] = 0


class PeekedMeans:
    """A z-test that the canary's mean of logarithms is greater, on all requests so far."""

    def __init__(self, runs: int, buckets: int) -> None:
        self._sums = np.zeros((2, 3, runs))
        self._powers = np.arange(buckets)[None, :].repeat(3, axis=0) ** np.arange(3)[:, None]

    def look(self, canary: np.ndarray, stable: np.ndarray) -> np.ndarray:
        """Add requests of both versions; returns the z of each run, 0 with too few requests."""
        self._sums += np.stack([self._powers @ side.T for side in (canary, stable)])
        count, total, squares = self._sums[:, 0], self._sums[:, 1], self._sums[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / count
            variance = squares / count - mean**2
            z = (mean[0] - mean[1]) / np.sqrt((variance / count).sum(axis=0))
        return np.where((count[0] >= LEAST) & np.isfinite(z), z, 0.0)
