"""The splitter of many runs at once, from whole cycles of the product's splitter.

Each cycle of 10,000 draws of `BlockSplit` is independent, so a run with random cycles from a large stock sees the same
distribution as a proxy.
"""

import random

import numpy as np

from canaryproxy.routing.split import PLACES_PER_STRATUM, STRATA, BlockSplit

CYCLE = STRATA * PLACES_PER_STRATUM
STOCK = 1000


class Stock:
    """Cycles for one weight, in basis points: how many of the first so many draws go to canary."""

    def __init__(self, draws: np.ndarray, weight: int) -> None:
        self.weight = weight
        self.counts = np.zeros((draws.shape[0], CYCLE + 1), dtype=np.int32)
        np.cumsum(draws < weight, axis=1, out=self.counts[:, 1:])


def drawn(seed: int, cycles: int = STOCK) -> np.ndarray:
    """The buckets that a splitter draws, a cycle in each row."""
    split = BlockSplit(random.Random(seed).random)
    return np.array([[split.draw() for _ in range(CYCLE)] for _ in range(cycles)], dtype=np.int16)


class Splitters:
    """One splitter for each run."""

    def __init__(self, runs: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._runs = runs
        self._cycle = rng.integers(0, STOCK, runs)
        self._at = rng.integers(0, CYCLE, runs)

    def canary(self, requests: np.ndarray, stock: Stock) -> np.ndarray:
        """The number of the next requests of each run that go to the canary."""
        left = requests.copy()
        got = np.zeros(self._runs, dtype=np.int64)
        while True:
            until = np.minimum(self._at + left, CYCLE)
            got += stock.counts[self._cycle, until] - stock.counts[self._cycle, self._at]
            left -= until - self._at
            over = until == CYCLE
            self._at = np.where(over, 0, until)
            self._cycle = np.where(over, self._rng.integers(0, STOCK, self._runs), self._cycle)
            if not left.any():
                return got
