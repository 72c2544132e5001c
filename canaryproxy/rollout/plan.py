"""The plan of a rollout: its steps, and when to continue, to wait and to abort. Pure.

Weights are basis points, times are seconds.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# The weight at which the canary gets all of the traffic.
FULL_WEIGHT = 10_000

OnTimeout = Literal["pause", "abort"]
Start = Literal["manual", "auto"]

# Requests of the canary in two dwells of a step of `auto`: enough to prove a healthy canary no worse.
MIN_REQUESTS_PER_STEP = 1300

# The highest first weight of `auto`: 20 %.
MIN_FIRST_WEIGHT = 2000

# Factor from one weight of `auto` to the next.
GROWTH = 3.0

# The lowest first weight, 0.01 %.
MIN_WEIGHT = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A weight, and its minimum duration `dwell`. `hold`: only an operator ends the step. `extra` are stored fields of
    a later version.
    """

    weight: int
    dwell: float
    hold: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` rise and end at full weight. Without `step_timeout` a step may take three times its estimated duration,
    and at least half an hour. `max_failed` limits the requests that the canary fails beyond stable's rate. `ramp` is
    the duration of each step of a rollback; None for a rollback at once.
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
        """All weights, with `last` and full weight."""
        return rising((*range(self.first, self.last, self.by), self.last))


@dataclass(frozen=True, slots=True)
class Curve:
    """`count` weights from 1 % to full weight, with a constant factor between them."""

    count: int

    @property
    def weights(self) -> tuple[int, ...]:
        """All weights."""
        last = max(self.count - 1, 1)
        return rising(round(100 * (FULL_WEIGHT / 100) ** (number / last)) for number in range(self.count))


@dataclass(frozen=True, slots=True)
class Auto:
    """Weights that are chosen by the traffic of stable."""


Shape = Range | Curve | Auto


def rising(weights: Iterable[int]) -> tuple[int, ...]:
    """Sorted, without duplicates, with full weight at the end."""
    return tuple(sorted({*weights, FULL_WEIGHT}))


def resolved(shape: Shape, dwell: float, rate: float) -> tuple[Step, ...]:
    """The steps of a shape with this dwell; `rate` is stable's requests per second."""
    weights = auto_weights(dwell, rate) if isinstance(shape, Auto) else shape.weights
    return tuple(Step(weight, dwell) for weight in weights)


def auto_weights(dwell: float, rate: float) -> tuple[int, ...]:
    """The first weight at which two dwells have enough requests for a proof, at most 20 %; each next weight is three
    times as high. 50 % comes before full weight, since an unproven canary gets no more than half of the traffic.
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
