"""Other methods, for comparison: tests for a single look, group sequential bounds, the beta-binomial mixture.

The product uses none of them; docs/analysis.md has the reasons.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache

HALVINGS = 200


def beta_binomial(canary_errors: int, stable_errors: int, weight: float, k: float) -> float:
    """Ln of the one-sided beta-binomial evidence of Lindon and Malek (2011.03567) that the canary's share of the errors
    exceeds the weight.
    """
    a, b = k * weight, k * (1 - weight)
    c, d = a + canary_errors, b + stable_errors
    log = _log_beta(c, d) - _log_beta(a, b)
    log -= canary_errors * math.log(weight) + stable_errors * math.log(1 - weight)
    return log + math.log(1 - _beta_share(weight, c, d)) - math.log(1 - _beta_share(weight, a, b))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction."""
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + numerator * d or tiny)
            c = 1 + numerator / c or tiny
            found *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return front * found


def z_p(canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """One-sided p of the pooled z-test, each given as (errors, requests)."""
    (e_c, n_c), (e_s, n_s) = canary, stable
    pooled = (e_c + e_s) / (n_c + n_s)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_s))
    return math.erfc((e_c / n_c - e_s / n_s) / spread / math.sqrt(2)) / 2 if spread else 1.0


def chi2_ratio_p(canary: int, total: int, weight: float) -> float:
    """P of the chi-square test of the sample ratio."""
    deviation = canary - total * weight
    return math.erfc(abs(deviation) / math.sqrt(2 * total * weight * (1 - weight)))


def fisher_p(canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """Fisher's exact one-sided p."""
    (e_c, n_c), (e_s, n_s) = canary, stable
    errors, total = e_c + e_s, n_c + n_s
    ways = sum(math.comb(n_c, k) * math.comb(n_s, errors - k) for k in range(e_c, min(errors, n_c) + 1))
    return ways / math.comb(total, errors)


def conditional_p(canary_errors: int, errors: int, share: float) -> float:
    """P of that many errors of the canary, if each error is the canary's with its share of the traffic."""
    return math.fsum(
        math.comb(errors, k) * share**k * (1 - share) ** (errors - k) for k in range(canary_errors, errors + 1)
    )


def barnard_p(canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """Barnard's exact one-sided p with the pooled z as the order of tables, the nuisance rate by search."""
    (e_c, n_c), (e_s, n_s) = canary, stable

    def z(a: int, b: int) -> float:
        pooled = (a + b) / (n_c + n_s)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_s))
        return (a / n_c - b / n_s) / spread if spread else 0.0

    observed = z(e_c, e_s) - 1e-12
    most = 120
    edges = [
        next((b - 1 for b in range(min(most * 20, n_s) + 1) if z(a, b) < observed), min(most * 20, n_s))
        for a in range(min(most, n_c) + 1)
    ]

    def p_at(rate: float) -> float:
        below: list[float] = []
        total = 0.0
        for b in range(max(edges) + 1):
            total += math.exp(_log_binomial(n_s, b, rate))
            below.append(total)
        return math.fsum(math.exp(_log_binomial(n_c, a, rate)) * below[e] for a, e in enumerate(edges) if e >= 0)

    grid = [10 ** (-5 + 4 * i / 400) for i in range(401)]
    best = max(range(401), key=lambda i: p_at(grid[i]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 400)]
    for _ in range(60):
        third = (high - low) / 3
        if p_at(low + third) < p_at(high - third):
            low += third
        else:
            high -= third
    return p_at((low + high) / 2)


@cache
def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_binomial(n: int, k: int, p: float) -> float:
    return _log_comb(n, k) + k * math.log(p) + (n - k) * math.log1p(-p)


def mann_whitney_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Exact one-sided p that `a` is greater, over all splits."""
    pooled = [*a, *b]
    wins = [[float(x > y) + (x == y) / 2 for y in pooled] for x in pooled]
    places = range(len(pooled))

    def u(chosen: tuple[int, ...]) -> float:
        others = [i for i in places if i not in chosen]
        return sum(wins[i][j] for i in chosen for j in others)

    observed = u(tuple(range(len(a))))
    splits = list(itertools.combinations(places, len(a)))
    return sum(u(one) >= observed for one in splits) / len(splits)


def group_sequential(looks: int, alpha: float, *, obrien_fleming: bool) -> float:
    """The constant of a two-sided group sequential bound: |z_k| > C / sqrt(k / looks), or |z_k| > C (Pocock), by
    recursive integration (Armitage, McPherson and Rowe 1969).
    """
    low, high = 1.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        if _crossed(looks, middle, obrien_fleming=obrien_fleming) > alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _crossed(looks: int, constant: float, *, obrien_fleming: bool, points: int = 241) -> float:
    """The probability that a Brownian motion leaves the bounds at one of the looks, by Simpson's rule."""
    bounds = [constant * (math.sqrt(looks) if obrien_fleming else math.sqrt(k)) for k in range(1, looks + 1)]
    density, grid = [1.0], [0.0]
    for bound in bounds:
        step = 2 * bound / (points - 1)
        places = [-bound + i * step for i in range(points)]
        new = [
            math.fsum(d * math.exp(-((x - g) ** 2) / 2) for d, g in zip(density, grid, strict=True))
            / math.sqrt(2 * math.pi)
            for x in places
        ]
        weights = [step / 3 * (1 if i in (0, points - 1) else 4 if i % 2 else 2) for i in range(points)]
        density, grid = [d * w for d, w in zip(new, weights, strict=True)], places
    return 1 - math.fsum(density)
