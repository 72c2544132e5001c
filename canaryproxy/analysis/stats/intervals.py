"""Anytime-valid confidence intervals of rates and means, which may be shown while the measurement goes on.

Rates use the beta-binomial martingale of Howard and Ramdas (arXiv 1810.08240), means the normal mixture with an
estimated standard deviation (asymptotic confidence sequences: Waudby-Smith et al., arXiv 2103.06476).
"""

import math
from collections.abc import Mapping

from canaryproxy.telemetry.record.histogram import middle

# Units for which the intervals are narrowest.
TUNED = 1000

# Alpha: intervals are at the 95 % level.
SHOWN = 0.05

HALVINGS = 60


def best_variance(spent: float, alpha: float) -> float:
    """The mixing variance for which the two-sided bound is tightest at an accumulated variance of `spent`."""
    log = 2 * math.log(1 / alpha)
    return spent / (log + math.log(1 + log))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _against(p: float, hits: int, count: int, alpha: float, tuned: float) -> float:
    """Ln of the evidence against the rate p."""
    variance = p * (1 - p)
    rho = max(best_variance(variance * tuned, alpha) - variance, 1e-3 * variance)
    a, b = rho / (1 - p), rho / p
    return (
        _log_beta(a + hits, b + count - hits) - _log_beta(a, b) - hits * math.log(p) - (count - hits) * math.log1p(-p)
    )


def rate(hits: int, count: int, alpha: float = SHOWN, tuned: float = TUNED) -> tuple[float, float]:
    """The interval of a rate with `hits` of `count` units. (0, 1) without units."""
    if not count:
        return 0.0, 1.0
    limit = math.log(1 / alpha)
    seen = hits / count

    def edge(outside: float, inside: float) -> float:
        for _ in range(HALVINGS):
            p = (outside + inside) / 2
            if p in (0.0, 1.0):
                break
            if _against(p, hits, count, alpha, tuned) < limit:
                inside = p
            else:
                outside = p
        return (outside + inside) / 2

    inside = min(max(seen, 0.5 / (count + 1)), 1 - 0.5 / (count + 1))
    low = 0.0 if not hits else edge(0.0, inside)
    high = 1.0 if hits == count else edge(1.0, inside)
    return low, high


def ratio(canary: tuple[int, int], stable: tuple[int, int], alpha: float = SHOWN) -> tuple[float, float | None]:
    """The interval of the ratio of two rates, each given as (hits, units): from the canary's share of the hits, which
    depends only on the ratio and on its share of the units. The upper limit is None if there is none.
    """
    (hits, units), (others, rest) = canary, stable
    low, high = rate(hits, hits + others, alpha, FEW_HITS)
    odds = rest / units if units else 0.0

    def of(share: float) -> float:
        return share / (1 - share) * odds

    return of(low), None if high == 1 else of(high)


# Hits of both versions for which the interval of their ratio is narrowest.
FEW_HITS = 30


# Count, mean and variance.
Moments = tuple[float, float, float]


def _moments(counts: Mapping[int, int]) -> Moments:
    """The moments of a histogram, in seconds."""
    total = sum(counts.values())
    mean = sum(count * middle(bucket) for bucket, count in counts.items()) / total
    variance = sum(count * (middle(bucket) - mean) ** 2 for bucket, count in counts.items()) / total
    return total, mean, variance


def normal_mixture(total: float, variance: float, rho: float) -> float:
    """Ln of the evidence that a sum of centred terms is above 0: the one-sided normal mixture of Howard et al."""
    deviate = total / math.sqrt(variance + rho)
    return (
        math.log(4 * rho / (variance + rho)) / 2
        + total * total / (2 * (variance + rho))
        + math.log(math.erfc(-deviate / math.sqrt(2)) / 2)
    )


def two_sided(variance: float, rho: float, alpha: float) -> float:
    """The two-sided bound of a sum of centred terms."""
    return math.sqrt((variance + rho) * (math.log((variance + rho) / rho) + 2 * math.log(1 / alpha)))


def mean_ratio(
    canary: Mapping[int, int], stable: Mapping[int, int], alpha: float = SHOWN
) -> tuple[float, float, float] | None:
    """The ratio of two mean latencies with its asymptotic interval. None with fewer than 25 requests of a version."""
    if min(sum(canary.values()), sum(stable.values())) < FEWEST:
        return None
    return ratio_of_means(_moments(canary), _moments(stable), alpha)


def ratio_of_means(canary: Moments, stable: Moments, alpha: float = SHOWN) -> tuple[float, float, float]:
    """The ratio of two means above 0 with its asymptotic interval."""
    means = []
    for total, mean, variance in (canary, stable):
        rho = best_variance(variance * TUNED, alpha) or 1e-18
        means.append((mean, two_sided(variance * total, rho, alpha / 2) / total))
    (mean_c, half_c), (mean_s, half_s) = means
    log = math.log(mean_c / mean_s)
    half = math.hypot(half_c / mean_c, half_s / mean_s)
    return math.exp(log), math.exp(log - half), math.exp(log + half)


# Requests of each version that the ratio of means needs.
FEWEST = 25
