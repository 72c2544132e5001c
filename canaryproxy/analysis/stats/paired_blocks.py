"""Tests of resources such as CPU seconds per request: few noisy readings, compared as the logarithm of their ratio.

The anytime-valid t-test of Wang and Ramdas (arXiv 2310.03722) with a Gaussian prior on the effect. It is exact for
Gaussian blocks of unknown variance; blocks are longer than the noise is correlated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from canaryproxy.model.document import Document, plains, reals

# Blocks that the test needs.
MIN_BLOCKS = 5

# Variance of the effect that is bet on, in units of the variance of the noise.
PRIOR = 1.0


def log_t(count: int, t: float, prior: float = PRIOR) -> float:
    """Ln e of a t statistic of `count` readings, against "the mean is 0"."""
    freedom = count - 1
    wide = 1 + count * prior
    return (freedom + 1) / 2 * math.log((1 + t * t / freedom) / (1 + t * t / (freedom * wide))) - math.log(wide) / 2


# Lower limit of the standard deviation of a logarithm: clocks and counters are not more precise.
MIN_SPREAD = 1e-3


@dataclass(slots=True)
class PerRequest:
    """ln(canary / stable) of the use per request, block by block. A `tolerance` of 1.1 is 10 %."""

    tolerance: float
    logs: list[float] = field(default_factory=list)

    def block(self, canary: float, stable: float) -> None:
        """Add the mean use per request of both versions in a block, both above 0."""
        self.logs.append(math.log(canary / stable))

    def _evidence(self, values: Sequence[float]) -> float:
        """Evidence that the mean of the values is above 0."""
        count = len(values)
        if count < MIN_BLOCKS or math.fsum(values) <= 0:
            return 0.0
        mean, spread = _mean_and_spread(values)
        return log_t(count, mean / (spread / math.sqrt(count)))

    def snapshot(self) -> Document:
        """As plain data."""
        return {"logs": plains(self.logs)}

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises as `EDetector.restore` does."""
        self.logs = reals(data["logs"])

    @property
    def more(self) -> float:
        """Ln of the evidence that the canary uses more than is tolerated."""
        return self._evidence([one - math.log(self.tolerance) for one in self.logs])

    @property
    def less(self) -> float:
        """Ln of the evidence that the canary uses less, by more than the tolerance."""
        return self._evidence([-one - math.log(self.tolerance) for one in self.logs])

    @property
    def ratio(self) -> float | None:
        """The canary's use per request divided by stable's; None without a block."""
        return math.exp(math.fsum(self.logs) / len(self.logs)) if self.logs else None

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """An anytime-valid confidence interval of the ratio at level 1 - `alpha`; None with too few blocks."""
        count = len(self.logs)
        if count < MIN_BLOCKS:
            return None
        mean, spread = _mean_and_spread(self.logs)
        reach = _largest_t(count, math.log(1 / alpha))
        if reach is None:
            return None
        half = reach * spread / math.sqrt(count)
        return math.exp(mean - half), math.exp(mean + half)


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    count = len(values)
    mean = math.fsum(values) / count
    return mean, max(math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (count - 1)), MIN_SPREAD)


def _largest_t(count: int, limit: float) -> float | None:
    """The t at which the evidence reaches `limit`; None if no t does."""
    freedom = count - 1
    wide = 1 + count * PRIOR
    power = math.exp(2 / (freedom + 1) * (limit + math.log(wide) / 2))
    return math.sqrt(freedom * (power - 1) / (1 - power / wide)) if power < wide else None
