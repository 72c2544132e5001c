"""What is judged, and how strictly: the config's words as plain data. Shares and rates are 0..1, tolerances ratios
(1.1 is 10 %), times seconds.
"""

from dataclasses import dataclass, field
from typing import Literal

Action = Literal["rollback", "hold"]
"""What follows where harm is shown: the canary is taken back, or goes no further."""

Unit = Literal["request", "user", "endpoint-second"]


@dataclass(frozen=True, slots=True)
class FixedLimits:
    """Fixed bounds for those who want them: the canary's value at most `max`, or at most `times` stable's."""

    max: float | None = None
    times: float | None = None

    def __bool__(self) -> bool:
        return self.max is not None or self.times is not None


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """`statuses` are ranges, both ends included, that count as failures beside what never answered."""

    tolerance: float = 1.1
    floor: float = 0.001
    statuses: tuple[tuple[int, int], ...] = ((500, 599),)
    limits: FixedLimits = FixedLimits()
    dry_run: bool = False


NO_ERRORS = ErrorSpec()


@dataclass(frozen=True, slots=True)
class LatencySpec:
    """`limits` are for the quantile `q`, in seconds."""

    tolerance: float = 1.1
    floor: float = 0.002
    q: float = 0.99
    limits: FixedLimits = FixedLimits()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ClientErrors:
    """Statuses from 400 to 499: the clients' fault by the book, and a classic of broken releases."""

    tolerance: float = 1.5
    floor: float = 0.01
    on_failure: Action = "hold"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GoalSpec:
    """One goal of the route. `valued`: its events carry numbers, and their sum is judged as well as their count."""

    goal: str
    tolerance: float = 1.0
    on_failure: Action = "hold"
    valued: bool = False
    cap: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """Something that the versions use and tell of themselves, compared per request in blocks of `block` seconds."""

    name: str
    tolerance: float = 1.1
    block: float = 300.0
    on_failure: Action = "hold"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ExternalSpec:
    """A metric of an external source: the canary's at most `max`, at least `min`, at most `times` stable's.
    Broken at `failures` readings in a row it has failed.
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
    """However little is known: a canary that fails so much of so many requests is taken back."""

    error_rate: float = 0.5
    min_requests: int = 20


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """Everything. `confidence` is the chance that a healthy canary is not taken back, for the whole rollout."""

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
        """The evidence at which a canary is taken back."""
        return 1 / (1 - self.confidence)
