"""The analysis section of the config as plain data. Shares and rates are 0..1, tolerances ratios (1.1 is 10 %), times
seconds.
"""

from dataclasses import dataclass, field
from typing import Literal

from canaryproxy.analysis import wording

# The consequence of a failed check: a rollback, or a hold of the rollout.
Action = Literal["rollback", "hold"]

Unit = Literal["request", "user", "endpoint-second"]


@dataclass(frozen=True, slots=True)
class FixedLimits:
    """Optional fixed bounds: the canary's value is at least `min`, at most `max`, and at most `times` stable's."""

    max: float | None = None
    times: float | None = None
    min: float | None = None

    def __bool__(self) -> bool:
        return self.max is not None or self.times is not None or self.min is not None

    def broken(self, canary: float, stable: float | None) -> str:
        """The text of the broken bound; empty for none."""
        if self.max is not None and canary > self.max:
            return f"above {wording.number(self.max)}"
        if self.min is not None and canary < self.min:
            return f"below {wording.number(self.min)}"
        if self.times is not None and stable is not None and canary > self.times * stable:
            return f"above {wording.number(self.times)} times stable's {wording.number(stable)}"
        return ""


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """`statuses` are ranges, both ends included, that count as failures, as do requests without a response."""

    tolerance: float = 1.1
    floor: float = 0.001
    statuses: tuple[tuple[int, int], ...] = ((500, 599),)
    limits: FixedLimits = FixedLimits()
    dry_run: bool = False


NO_ERRORS = ErrorSpec()


@dataclass(frozen=True, slots=True)
class LatencySpec:
    """`limits` apply to the quantile `q`, in seconds."""

    tolerance: float = 1.1
    floor: float = 0.002
    q: float = 0.99
    limits: FixedLimits = FixedLimits()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ClientErrors:
    """The check of responses with status 4xx: formally errors of clients, but typical of broken releases."""

    tolerance: float = 1.5
    floor: float = 0.01
    on_failure: Action = "hold"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GoalSpec:
    """One goal of the route. `valued`: its events carry numbers, and their sum is judged beside their count."""

    goal: str
    tolerance: float = 1.0
    on_failure: Action = "hold"
    valued: bool = False
    cap: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """A resource that the versions export metrics of, compared per request in blocks of `block` seconds."""

    name: str
    tolerance: float = 1.1
    block: float = 300.0
    on_failure: Action = "hold"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ExternalSpec:
    """A metric of an external source: the canary's value is at least `min`, at most `max`, at most `times` stable's.
    The check fails after `failures` bad readings in a row.
    """

    name: str
    max: float | None = None
    min: float | None = None
    times: float | None = None
    failures: int = 3
    on_failure: Action = "rollback"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class HardLimitSpec:
    """A canary with this failure rate in this many requests is rolled back, without statistics."""

    error_rate: float = 0.5
    min_requests: int = 20


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """All checks. `confidence` is the probability that a healthy canary is not rolled back in a whole rollout."""

    confidence: float = 0.99
    unit: Unit | None = None
    errors: ErrorSpec | None = field(default_factory=ErrorSpec)
    latency: LatencySpec | None = field(default_factory=LatencySpec)
    client_errors: ClientErrors | None = field(default_factory=ClientErrors)
    goals: tuple[GoalSpec, ...] = ()
    resources: tuple[ResourceSpec, ...] = ()
    externals: tuple[ExternalSpec, ...] = ()
    limits: HardLimitSpec | None = field(default_factory=HardLimitSpec)
    min_requests: int = 100
    warmup: float = 30.0
    prove_above: int = 5000
    dry_run: bool = False

    @property
    def alarm(self) -> float:
        """The evidence at which a canary is rolled back."""
        return 1 / (1 - self.confidence)
