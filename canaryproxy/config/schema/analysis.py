"""The part of the schema that says how a canary is judged. Left out, it is judged by the defaults."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from canaryproxy.analysis.spec import (
    AnalysisSpec,
    ClientErrors,
    ErrorSpec,
    FixedLimits,
    GoalSpec,
    HardLimitSpec,
    LatencySpec,
)
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.goals import Ranges, statuses, statuses_text
from canaryproxy.config.schema.judged_keys import OnFailure, Times, ratio
from canaryproxy.config.schema.section import (
    Count,
    HeaderName,
    LongDuration,
    PathPrefix,
    Percent,
    RuleName,
    Section,
    ShownAs,
    Switch,
    none_if_off,
)
from canaryproxy.config.schema.sources import DRY_RUN, CheckConfig, ResourceConfig
from canaryproxy.config.types.quantity import duration, duration_text, is_off, percent, percent_text
from canaryproxy.config.types.sequence import sequence
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition
from canaryproxy.model.table import FULL_WEIGHT

MIN_CONFIDENCE, MAX_CONFIDENCE = 8000, 9999

QUANTILES = ("p50", "p90", "p95", "p99")

HIGHEST_FLOOR = 2000

CONFIDENCE_EXPECTED = "expected a percentage from 80 to 99.99"


def confidence(value: object) -> int:
    """How sure to be, in basis points."""
    points = percent(value)
    if not MIN_CONFIDENCE <= points <= MAX_CONFIDENCE:
        raise InvalidValueError(CONFIDENCE_EXPECTED)
    return points


def floor(value: object) -> int:
    """A rate that is never held against the canary, in basis points."""
    points = percent(value)
    if points > HIGHEST_FLOOR:
        raise InvalidValueError(
            f"expected a percentage from 0 to {percent_text(HIGHEST_FLOOR)}: above a floor so high nothing is left"
        )
    return points


UnitName = Literal["auto", "request", "user", "endpoint-second"]
_UNITS: dict[str, UnitName] = {
    "auto": "auto",
    "request": "request",
    "user": "user",
    "endpoint-second": "endpoint-second",
}


def unit(value: object) -> UnitName:
    """What failures are counted by."""
    found = _UNITS.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValueError("expected auto, request, user or endpoint-second")
    return found


def max_percent(value: object) -> int | None:
    """A percentage; None for no such bound."""
    return None if is_off(value) else percent(value)


def max_time(value: object) -> float | None:
    """A duration; None for no such bound."""
    return None if is_off(value) else duration(0.001, 3600)(value)


def quantile(value: object) -> int:
    """`p50` to `p99`, as a number."""
    text = value if isinstance(value, str) else ""
    if text not in QUANTILES:
        raise InvalidValueError(f"expected one of {', '.join(QUANTILES)}")
    return int(text.removeprefix("p"))


def user_agent(value: object) -> str:
    """How a User-Agent begins."""
    if not isinstance(value, str) or not value.strip() or not value.isascii() or not value.isprintable():
        raise InvalidValueError("expected how a User-Agent begins, such as kube-probe")
    return value


Confidence = Annotated[int, PlainValidator(confidence), ShownAs(percent_text)]
Floor = Annotated[int, PlainValidator(floor), ShownAs(percent_text)]
CountedBy = Annotated[UnitName, PlainValidator(unit), ShownAs(str)]
MaxPercent = Annotated[
    int | None, PlainValidator(max_percent), ShownAs(lambda value: "none" if value is None else percent_text(value))
]
MaxTime = Annotated[
    float | None, PlainValidator(max_time), ShownAs(lambda value: "none" if value is None else duration_text(value))
]
Quantile = Annotated[int, PlainValidator(quantile), ShownAs(lambda value: f"p{value}")]
UserAgent = Annotated[str, PlainValidator(user_agent)]
Statuses = Annotated[Ranges, PlainValidator(statuses), ShownAs(statuses_text)]

BOUND = "Broken at five looks in a row, it takes the canary back, whatever the evidence."


class ErrorsConfig(Section):
    """Failures of requests, or of users. `off` does not judge them."""

    tolerance: Percent = Field(
        default=1000, description="How much higher than stable's the canary's rate may be.", examples=["20%"]
    )
    floor: Floor = Field(default=10, description="A rate that is never held against the canary.", examples=["0.5%"])
    statuses: Statuses = Field(
        default=((500, 599),),
        description="Statuses that are failures, beside requests without a response.",
        examples=["[5xx, 429]"],
    )
    max: MaxPercent = Field(default=None, description=f"A bound for the rate itself. {BOUND}", examples=["5%"])
    max_ratio_to_stable: Times = Field(
        default=None, description=f"A bound as a multiple of stable's rate. {BOUND}", examples=["2"]
    )
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @property
    def spec(self) -> ErrorSpec:
        """As the judge has it."""
        limits = FixedLimits(None if self.max is None else self.max / FULL_WEIGHT, self.max_ratio_to_stable)
        return ErrorSpec(ratio(self.tolerance), self.floor / FULL_WEIGHT, self.statuses, limits, self.dry_run)


class LatencyConfig(Section):
    """How long the versions take. `off` does not judge it."""

    tolerance: Percent = Field(
        default=1000, description="How much slower than stable the canary may be.", examples=["20%"]
    )
    floor: LongDuration = Field(
        default=0.002,
        description="And how much on top of that: a version with little traffic is always a little slower.",
        examples=["5ms"],
    )
    quantile: Quantile = Field(
        default=99, description="What `max` and `max_ratio_to_stable` are bounds of.", examples=["p95"]
    )
    max: MaxTime = Field(default=None, description=f"A bound for the quantile itself. {BOUND}", examples=["500ms"])
    max_ratio_to_stable: Times = Field(
        default=None, description=f"A bound as a multiple of stable's. {BOUND}", examples=["1.5"]
    )
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @property
    def spec(self) -> LatencySpec:
        """As the judge has it."""
        limits = FixedLimits(self.max, self.max_ratio_to_stable)
        return LatencySpec(ratio(self.tolerance), self.floor, self.quantile / 100, limits, self.dry_run)


class RefusalsConfig(Section):
    """Answers from 400 to 499. `off` does not judge them."""

    tolerance: Percent = Field(
        default=5000, description="How much higher than stable's the canary's rate may be.", examples=["20%"]
    )
    floor: Floor = Field(default=100, description="A rate that is never held against the canary.", examples=["5%"])
    on_failure: OnFailure = Field(default="hold", description="What follows: `hold` or `rollback`.", examples=["hold"])
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @property
    def spec(self) -> ClientErrors:
        """As the judge has it."""
        return ClientErrors(ratio(self.tolerance), self.floor / FULL_WEIGHT, self.on_failure, dry_run=self.dry_run)


class JudgedGoalConfig(Section):
    """How a goal of the route is judged. Goals that are not named here hold at the first sign of harm."""

    goal: RuleName = Field(description="Its name.", examples=["add_to_cart"])
    tolerance: Percent = Field(default=0, description="How much less the canary may bring.", examples=["2%"])
    on_failure: OnFailure = Field(
        default="hold", description="What follows: `hold` or `rollback`.", examples=["rollback"]
    )
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])


class HardLimitConfig(Section):
    """However little is known, a canary that fails so much is taken back. `off` for no such limit."""

    error_rate: Percent = Field(
        default=5000, description="How many of its last requests it may fail.", examples=["30%"]
    )
    min_requests: Count = Field(default=20, description="How many requests that takes.", examples=["50"])

    @property
    def spec(self) -> HardLimitSpec:
        """As the judge has it."""
        return HardLimitSpec(self.error_rate / FULL_WEIGHT, self.min_requests)


class ExcludeConfig(Section):
    """Requests that are routed like any other and stay out of `/stats` and the analysis."""

    paths: Annotated[tuple[PathPrefix, ...], BeforeValidator(sequence)] = Field(
        default=(), description="Path prefixes, by whole segments.", examples=["[/healthz]"]
    )
    user_agents: Annotated[tuple[UserAgent, ...], BeforeValidator(sequence)] = Field(
        default=(), description="How their User-Agent begins.", examples=["[kube-probe]"]
    )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """As the table has it: any of them excludes."""
        paths = tuple(Condition("path", "prefix", (path,)) for path in self.paths)
        agents = tuple(Condition("header", "prefix", (one,), AGENT) for one in self.user_agents)
        return (*paths, *agents)


AGENT: HeaderName = "user-agent"


class AnalysisConfig(Section):
    """How the canary is judged."""

    confidence: Confidence = Field(
        default=9900,
        description="How sure to be that a canary which is taken back is worse, for the whole time and all checks.",
        examples=["99.9%"],
    )
    unit: CountedBy = Field(
        default="auto",
        description="What failures are counted by: `request`, `user` (with affinity), `endpoint-second`. `auto`: users "
        "with affinity, else requests, or endpoint-seconds where stable's failures come in clumps.",
        examples=["user"],
    )
    errors: Annotated[ErrorsConfig | None, BeforeValidator(none_if_off)] = Field(
        default=ErrorsConfig(), description="See below."
    )
    latency: Annotated[LatencyConfig | None, BeforeValidator(none_if_off)] = Field(
        default=LatencyConfig(), description="See below."
    )
    refusals: Annotated[RefusalsConfig | None, BeforeValidator(none_if_off)] = Field(
        default=RefusalsConfig(), description="See below."
    )
    goals: Annotated[tuple[JudgedGoalConfig, ...], BeforeValidator(sequence)] = Field(
        default=(), description="How goals are judged. See below.", examples=["[{goal: add_to_cart, tolerance: 2%}]"]
    )
    resources: Annotated[tuple[ResourceConfig, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="What requests cost the versions. See below.",
        examples=["[{name: cpu, counter: process_cpu_seconds_total}]"],
    )
    checks: Annotated[tuple[CheckConfig, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="External checks. See below.",
        examples=["[{name: load, prometheus: 'http://prom:9090', query: 'load{version=\"{{version}}\"}', max: 0.8}]"],
    )
    limits: Annotated[HardLimitConfig | None, BeforeValidator(none_if_off)] = Field(
        default=HardLimitConfig(), description="See below."
    )
    min_requests: Count = Field(
        default=100, description="Canary requests at one weight that a pass needs.", examples=["500"]
    )
    warmup: LongDuration = Field(
        default=30.0,
        description="For how long the latencies of a canary's endpoint are left out, from its first request on.",
        examples=["2m"],
    )
    exclude: ExcludeConfig = Field(default=ExcludeConfig(), description="See below.")
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        for kind, ones in (("resources", self.resources), ("checks", self.checks)):
            names = [one.name for one in ones]
            if len(set(names)) < len(names):
                raise InvalidValueError("give each a name of its own", found=f"two {kind} with one name")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return tuple(path for one in self.sources for path in one.files)

    @property
    def sources(self) -> tuple[ResourceConfig | CheckConfig, ...]:
        """The external sources that have to be asked."""
        return (*self.resources, *self.checks)

    @property
    def protects(self) -> bool:
        """Whether anything can take a canary back."""
        others: list[ResourceConfig | CheckConfig | JudgedGoalConfig] = [*self.resources, *self.checks, *self.goals]
        asked = any(one.on_failure == "rollback" and not one.dry_run for one in others)
        judged = any(one is not None and not one.dry_run for one in (self.errors, self.latency))
        return asked or judged or self.limits is not None

    def spec(self, goals: tuple[Goal, ...], prove_above: int = 5000) -> AnalysisSpec:
        """As the judge has it, with the goals of the route; weights above `prove_above` (basis points) want proof."""
        shown = {one.goal: one for one in self.goals}
        return AnalysisSpec(
            confidence=self.confidence / FULL_WEIGHT,
            unit=None if self.unit == "auto" else self.unit,
            errors=None if self.errors is None else self.errors.spec,
            latency=None if self.latency is None else self.latency.spec,
            client_errors=None if self.refusals is None else self.refusals.spec,
            goals=tuple(_goal(goal, shown.get(goal.name)) for goal in goals),
            resources=tuple(one.spec for one in self.resources),
            externals=tuple(one.spec for one in self.checks),
            limits=None if self.limits is None else self.limits.spec,
            min_requests=self.min_requests,
            warmup=self.warmup,
            prove_above=prove_above,
            dry_run=self.dry_run,
        )


def _goal(goal: Goal, shown: JudgedGoalConfig | None) -> GoalSpec:
    valued = bool(goal.header)
    if shown is None:
        return GoalSpec(goal.name, valued=valued)
    return GoalSpec(goal.name, ratio(shown.tolerance), shown.on_failure, valued, dry_run=shown.dry_run)


def known_goals(analysis: AnalysisConfig | None, goals: tuple[str, ...]) -> None:
    """Refuse a goal that the route does not have. Raises `InvalidValueError`."""
    for one in () if analysis is None else analysis.goals:
        if one.goal not in goals:
            raise InvalidValueError(
                f"goals of this route are: {', '.join(goals) or 'none'}",
                found=f"analysis of goal {one.goal}",
                plain=InvalidValueError(
                    "name one of the route's `goals`", found="analysis of a goal that the route does not have"
                ),
            )
