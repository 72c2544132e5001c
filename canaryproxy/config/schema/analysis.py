"""The sections of the analysis: how a canary is judged. A route without them uses the defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

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
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section, ShownAs
from canaryproxy.config.schema.sources import CheckConfig, ResourceConfig
from canaryproxy.config.types.quantity import duration, duration_text, percent, percent_text, percent_within, ratio
from canaryproxy.config.types.readers import choice, distinct, matching, optional, sequence
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition
from canaryproxy.model.table import FULL_WEIGHT

UnitName = Literal["auto", "request", "user", "endpoint-second"]
QuantileName = Literal["p50", "p90", "p95", "p99"]


def quantile(value: object) -> int:
    """`p50` to `p99`, as a number."""
    return int(choice(QuantileName)(value).removeprefix("p"))


# The reader of the beginning of a User-Agent.
user_agent = matching(r"(?! *\Z)[\x20-\x7e]+", "expected the beginning of a User-Agent, such as kube-probe")

Confidence = Annotated[int, PlainValidator(percent_within(8000, 9999)), ShownAs(percent_text)]
Floor = Annotated[int, PlainValidator(percent_within(0, 2000)), ShownAs(percent_text)]
Unit = Annotated[UnitName, PlainValidator(choice(UnitName)), ShownAs(str)]
MaxPercent = Annotated[int | None, PlainValidator(optional(percent)), ShownAs(percent_text)]
MaxTime = Annotated[float | None, PlainValidator(optional(duration(0.001, 3600))), ShownAs(duration_text)]
Quantile = Annotated[int, PlainValidator(quantile), ShownAs(lambda value: f"p{value}")]
UserAgent = Annotated[str, PlainValidator(user_agent)]

FIXED_LIMIT = "Five consecutive measurements above it roll the canary back, whatever the statistical evidence."


class ErrorsConfig(Section):
    """Check of the failure rate of requests or users. `off` disables the check."""

    tolerance: leaves.Percent = Field(
        default=1000,
        description="How much higher than the rate of stable the rate of the canary may be, in percent of it.",
        examples=["20%"],
    )
    floor: Floor = Field(
        default=10, description="A failure rate up to which the canary never fails the check.", examples=["0.5%"]
    )
    statuses: leaves.Statuses = Field(
        default=((500, 599),),
        description="Statuses that count as failures. A request without a response always does.",
        examples=["[5xx, 429]"],
    )
    max: MaxPercent = Field(default=None, description=f"Fixed limit of the rate. {FIXED_LIMIT}", examples=["5%"])
    max_ratio_to_stable: leaves.Multiple = Field(
        default=None,
        description=f"Fixed limit of the rate, as a multiple of the rate of stable. {FIXED_LIMIT}",
        examples=["2"],
    )
    dry_run: leaves.DryRun = False

    @property
    def spec(self) -> ErrorSpec:
        """The specification for the judge."""
        limits = FixedLimits(None if self.max is None else self.max / FULL_WEIGHT, self.max_ratio_to_stable)
        return ErrorSpec(ratio(self.tolerance), self.floor / FULL_WEIGHT, self.statuses, limits, self.dry_run)


class LatencyConfig(Section):
    """Check of the latency. `off` disables the check."""

    tolerance: leaves.Percent = Field(
        default=1000, description="How much slower than stable the canary may be, in percent.", examples=["20%"]
    )
    floor: leaves.LongDuration = Field(
        default=0.002,
        description="Additional time that the canary may take: a version with little traffic is always slightly "
        "slower.",
        examples=["5ms"],
    )
    quantile: Quantile = Field(
        default=99, description="Quantile that `max` and `max_ratio_to_stable` limit.", examples=["p95"]
    )
    max: MaxTime = Field(default=None, description=f"Fixed limit of the quantile. {FIXED_LIMIT}", examples=["500ms"])
    max_ratio_to_stable: leaves.Multiple = Field(
        default=None,
        description=f"Fixed limit of the quantile, as a multiple of that of stable. {FIXED_LIMIT}",
        examples=["1.5"],
    )
    dry_run: leaves.DryRun = False

    @property
    def spec(self) -> LatencySpec:
        """The specification for the judge."""
        limits = FixedLimits(self.max, self.max_ratio_to_stable)
        return LatencySpec(ratio(self.tolerance), self.floor, self.quantile / 100, limits, self.dry_run)


class RefusalsConfig(Section):
    """Check of the rate of client errors, responses from 400 to 499. `off` disables the check."""

    tolerance: leaves.Percent = Field(
        default=5000,
        description="How much higher than the rate of stable the rate of the canary may be, in percent of it.",
        examples=["20%"],
    )
    floor: Floor = Field(
        default=100, description="A rate up to which the canary never fails the check.", examples=["5%"]
    )
    on_failure: leaves.OnFailure = "hold"
    dry_run: leaves.DryRun = False

    @property
    def spec(self) -> ClientErrors:
        """The specification for the judge."""
        return ClientErrors(ratio(self.tolerance), self.floor / FULL_WEIGHT, self.on_failure, dry_run=self.dry_run)


class JudgedGoalConfig(Section):
    """How a goal of the route is judged. Goals without an entry use the defaults."""

    goal: leaves.RuleName = Field(description="Name of the goal.", examples=["add_to_cart"])
    tolerance: leaves.Percent = Field(
        default=0, description="How much less than stable the canary may reach, in percent.", examples=["2%"]
    )
    on_failure: leaves.OnFailure = "hold"
    dry_run: leaves.DryRun = False


class HardLimitConfig(Section):
    """A failure rate at which the canary is rolled back at once, whatever the rate of stable. `off` disables it."""

    error_rate: leaves.Percent = Field(
        default=5000, description="Percentage of the last requests of the canary that may fail.", examples=["30%"]
    )
    min_requests: leaves.Count = Field(
        default=20, description="Number of requests that the limit needs.", examples=["50"]
    )

    @property
    def spec(self) -> HardLimitSpec:
        """The specification for the judge."""
        return HardLimitSpec(self.error_rate / FULL_WEIGHT, self.min_requests)


class ExcludeConfig(Section):
    """Requests that are routed as usual but left out of `/stats` and the analysis."""

    paths: Annotated[tuple[leaves.PathPrefix, ...], BeforeValidator(sequence)] = Field(
        default=(), description="Path prefixes, by whole segments.", examples=["[/healthz]"]
    )
    user_agents: Annotated[tuple[UserAgent, ...], BeforeValidator(sequence)] = Field(
        default=(), description="Beginnings of the `User-Agent` header.", examples=["[kube-probe]"]
    )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions for the routing table, any of which excludes a request."""
        paths = tuple(Condition("path", "prefix", (path,)) for path in self.paths)
        agents = tuple(Condition("header", "prefix", (one,), "user-agent") for one in self.user_agents)
        return (*paths, *agents)


class AnalysisConfig(Section):
    """How the canary is judged."""

    confidence: Confidence = Field(
        default=9900,
        description="Confidence that a canary which is rolled back is worse than stable, for a whole rollout and all "
        "checks together.",
        examples=["99.9%"],
    )
    unit: Unit = Field(
        default="auto",
        description="Unit in which failures are counted: `request`, `user` (with affinity) or `endpoint-second`. "
        "`auto`: users with affinity, else requests, or endpoint-seconds if the failures of stable are clustered.",
        examples=["user"],
    )
    errors: Annotated[ErrorsConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=ErrorsConfig(), description="Failure rate. See below."
    )
    latency: Annotated[LatencyConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=LatencyConfig(), description="Latency. See below."
    )
    refusals: Annotated[RefusalsConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=RefusalsConfig(), description="Client errors. See below."
    )
    goals: Annotated[tuple[JudgedGoalConfig, ...], BeforeValidator(sequence)] = Field(
        default=(), description="How goals are judged. See below.", examples=["[{goal: add_to_cart, tolerance: 2%}]"]
    )
    resources: Annotated[
        tuple[ResourceConfig, ...], BeforeValidator(sequence), AfterValidator(distinct("resource"))
    ] = Field(
        default=(),
        description="Resource checks. See below.",
        examples=["[{name: cpu, counter: process_cpu_seconds_total}]"],
    )
    checks: Annotated[tuple[CheckConfig, ...], BeforeValidator(sequence), AfterValidator(distinct("check"))] = Field(
        default=(),
        description="External checks. See below.",
        examples=["[{name: load, prometheus: 'http://prom:9090', query: 'load{version=\"{{version}}\"}', max: 0.8}]"],
    )
    limits: Annotated[HardLimitConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=HardLimitConfig(), description="Hard limit of the failure rate. See below."
    )
    min_requests: leaves.Count = Field(
        default=100, description="Canary requests at one weight that a pass needs.", examples=["500"]
    )
    warmup: leaves.LongDuration = Field(
        default=30.0,
        description="For how long the latency of an endpoint of the canary is ignored after its first request.",
        examples=["2m"],
    )
    exclude: ExcludeConfig = Field(
        default=ExcludeConfig(), description="Requests that are left out of the analysis. See below."
    )
    dry_run: leaves.DryRun = False

    @property
    def sources(self) -> tuple[ResourceConfig | CheckConfig, ...]:
        """The external sources that are queried."""
        return (*self.resources, *self.checks)

    @property
    def protects(self) -> bool:
        """Whether any check can roll a canary back."""
        others: list[ResourceConfig | CheckConfig | JudgedGoalConfig] = [*self.sources, *self.goals]
        judged = any(one is not None and not one.dry_run for one in (self.errors, self.latency))
        asked = any(one.on_failure == "rollback" and not one.dry_run for one in others)
        return asked or judged or self.limits is not None

    def spec(self, goals: tuple[Goal, ...], prove_above: int = 5000) -> AnalysisSpec:
        """The specification for the judge. Weights above `prove_above` (basis points) need a proof."""
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
                f"the goals of this route are: {', '.join(goals) or 'none'}",
                found=f"analysis of goal {one.goal}",
                plain="analysis of a goal that the route does not have",
                plain_hint="name one of the route's `goals`",
            )
