"""A rollout's plan: which weights in which order, and when to go on, to wait and to give up. Pure.

Weights are basis points, times seconds.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FULL_WEIGHT = 10_000
"""The weight of a canary that gets everything."""

OnTimeout = Literal["pause", "abort"]
Start = Literal["manual", "auto"]

MIN_REQUESTS_PER_STEP = 1300
"""Canary requests that a step of `auto` has in two dwells: what a proof of "no worse" takes of a healthy service."""

MIN_FIRST_WEIGHT = 2000
"""The highest first weight of `auto`."""

GROWTH = 3.0
"""Times the weight before, of `auto`."""

MIN_WEIGHT = 1
"""The lowest first weight, 0.01 %."""


@dataclass(frozen=True, slots=True)
class Step:
    """A weight, and for how long at least. `hold`: it is left only on request. `extra` is what a later
    version has stored of it.
    """

    weight: int
    dwell: float
    hold: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` rise and end at the whole. `step_timeout` of None is three times what a step was expected to take, half
    an hour at least. `max_failed` bounds how many requests more than stable's rate explains the canary may fail.
    `ramp`: it is taken back step by step, each so many seconds long; None for at once.
    """

    steps: tuple[Step, ...]
    bake: float = 300.0
    step_timeout: float | None = None
    on_timeout: OnTimeout = "pause"
    max_duration: float = 86_400.0
    max_failed: int | None = None
    start: Start = "manual"
    dry_run: bool = False
    ramp: float | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Weights in even steps."""

    first: int
    last: int
    by: int

    @property
    def weights(self) -> tuple[int, ...]:
        """All of them; the last one and the whole in any case."""
        return rising((*range(self.first, self.last, self.by), self.last))


@dataclass(frozen=True, slots=True)
class Curve:
    """So many weights, each as many times the one before: from 1 % to the whole."""

    count: int

    @property
    def weights(self) -> tuple[int, ...]:
        """All of them."""
        last = max(self.count - 1, 1)
        return rising(round(100 * (FULL_WEIGHT / 100) ** (number / last)) for number in range(self.count))


@dataclass(frozen=True, slots=True)
class Auto:
    """Weights by the traffic that there is."""


Shape = Range | Curve | Auto


def rising(weights: Iterable[int]) -> tuple[int, ...]:
    """Each once and in order, and the whole at the end."""
    return tuple(sorted({*weights, FULL_WEIGHT}))


def resolved(shape: Shape, dwell: float, rate: float) -> tuple[Step, ...]:
    """The steps of a shape, each as long as `dwell`, for stable's requests a second."""
    weights = auto_weights(dwell, rate) if isinstance(shape, Auto) else shape.weights
    return tuple(Step(weight, dwell) for weight in weights)


def auto_weights(dwell: float, rate: float) -> tuple[int, ...]:
    """The first weight at which enough requests for a proof fit into two dwells, 20 % at most; then three times as much
    again and again. Half comes before the whole, since no more than half may see what is not proven.
    """
    seen = 2 * dwell * rate
    weight = float(
        max(math.ceil(FULL_WEIGHT * MIN_REQUESTS_PER_STEP / seen), MIN_WEIGHT)
        if seen * MIN_FIRST_WEIGHT > FULL_WEIGHT * MIN_REQUESTS_PER_STEP
        else MIN_FIRST_WEIGHT
    )
    weights = []
    while weight < FULL_WEIGHT / 2:
        weights.append(round(weight))
        weight *= GROWTH
    return rising((*weights, FULL_WEIGHT // 2))
