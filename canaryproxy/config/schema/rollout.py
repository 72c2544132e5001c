"""The section of a rollout: how the weight of a canary is raised. A route without it uses the defaults."""

import math
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, TypeAdapter, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.hooks import HookConfig, NotifyConfig
from canaryproxy.config.schema.leaves import DAY
from canaryproxy.config.schema.rules import RuleConfig, RuleSet, rule_list
from canaryproxy.config.schema.safety import MirrorConfig
from canaryproxy.config.schema.section import InvalidDocumentError, Section, ShownAs, validated
from canaryproxy.config.types.quantity import count, duration, duration_text, percent, percent_text
from canaryproxy.config.types.readers import choice, distinct, optional, sequence, switch
from canaryproxy.model.table import Mirror
from canaryproxy.rollout.plan import FULL_WEIGHT, Auto, Curve, OnTimeout, Plan, Range, Shape, Start, Step, resolved

Part = TypeVar("Part")

NO_RULES = RuleSet(())

DEFAULT_STEPS = (100, 500, 2500, 5000, FULL_WEIGHT)
MAX_STEPS = 100
STEPS_EXPECTED = (
    "expected weights that rise to 100, such as [1, 5, 25, 50, 100], or auto, {from, to, by}, {curve, count}"
)


@dataclass(frozen=True)
class WrittenStep:
    """A step as written: weight in basis points, minimum duration in seconds if given, and whether it holds. During the
    step its rules come before those of the route, and its mirror replaces that of the route.
    """

    weight: int
    dwell: float | None = None
    hold: bool = False
    rules: RuleSet = NO_RULES
    mirror: Mirror | None = None


Written = tuple[WrittenStep, ...]

Steps = Written | Shape


def steps(value: object) -> Steps:
    """The steps of a plan."""
    if value == "auto":
        return Auto()
    if isinstance(value, dict):
        return _shape(value)
    if not isinstance(value, list) or not value or len(value) > MAX_STEPS:
        raise InvalidValueError(STEPS_EXPECTED)
    found = tuple(_step(one) for one in value)
    weights = [step.weight for step in found]
    if weights != sorted(set(weights)) or weights[-1] != FULL_WEIGHT:
        raise InvalidValueError(STEPS_EXPECTED, found=f"weights {', '.join(map(percent_text, weights))}")
    return found


def _step(value: object) -> WrittenStep:
    if not isinstance(value, dict):
        return WrittenStep(_weight(value))
    unknown = value.keys() - {"weight", "for", "hold", "rules", "mirror"}
    if unknown or "weight" not in value:
        raise InvalidValueError(
            "expected a weight, or {weight, for, hold, rules, mirror}", found=f"keys {', '.join(map(str, value))}"
        )
    extra = bool(value.keys() & {"rules", "mirror"})
    return WrittenStep(
        percent(value["weight"]) if extra else _weight(value["weight"]),
        duration(0, DAY)(value["for"]) if "for" in value else None,
        switch(value.get("hold", False)),
        RuleSet(_part(tuple[RuleConfig, ...], tuple(rule_list(value["rules"])))) if "rules" in value else NO_RULES,
        _part(MirrorConfig, value["mirror"]).mirror if "mirror" in value else None,
    )


def _part(kind: type[Part], value: object) -> Part:
    """A part of a step with a schema of its own. Raises `InvalidValueError` for its first fault."""
    try:
        return validated(TypeAdapter(kind), value)
    except InvalidDocumentError as error:
        where, words = error.problems[0]
        raise InvalidValueError(f"{where}: {words}" if where else words, found="a step's rule or mirror") from None


def _weight(value: object) -> int:
    weight = percent(value)
    if not weight:
        raise InvalidValueError("a step without rules or a mirror needs a weight above 0")
    return weight


def _shape(value: dict[object, object]) -> Shape:
    if value.keys() == {"from", "to", "by"}:
        first, last, by = (_weight(value[key]) for key in ("from", "to", "by"))
        if first >= last or (last - first) / by > MAX_STEPS:
            raise InvalidValueError(f"expected `from` to be lower than `to`, and at most {MAX_STEPS} steps")
        return Range(first, last, by)
    if value.keys() == {"curve", "count"} and value["curve"] == "exponential":
        return Curve(count(2, MAX_STEPS)(value["count"]))
    raise InvalidValueError(STEPS_EXPECTED)


def steps_text(value: Steps) -> str:
    """The steps as written in a config."""
    if isinstance(value, Auto):
        return "auto"
    if isinstance(value, Range):
        return f"{{from: {value.first / 100:g}, to: {value.last / 100:g}, by: {value.by / 100:g}}}"
    if isinstance(value, Curve):
        return f"{{curve: exponential, count: {value.count}}}"
    return f"[{', '.join(f'{step.weight / 100:g}' for step in value)}]"


StepsOf = Annotated[Steps, PlainValidator(steps), ShownAs(steps_text)]
StepTimeout = Annotated[
    float | None, PlainValidator(optional(duration(1, 30 * DAY), "auto")), ShownAs(duration_text, "auto")
]
OnTimeoutWord = Annotated[OnTimeout, PlainValidator(choice(OnTimeout)), ShownAs(str)]
StartWord = Annotated[Start, PlainValidator(choice(Start)), ShownAs(str)]
RollbackStep = Annotated[
    float | None, PlainValidator(optional(duration(0.1, DAY), "immediate")), ShownAs(duration_text, "immediate")
]
MaxFailed = Annotated[int | None, PlainValidator(optional(count(1, 1_000_000_000))), ShownAs(str)]
MaxDuration = Annotated[float, PlainValidator(duration(1, 365 * DAY)), ShownAs(duration_text)]


class RolloutConfig(Section):
    """How the weight of the canary is raised in a rollout. `rollout: {}` takes all defaults."""

    steps: StepsOf = Field(
        default=tuple(map(WrittenStep, DEFAULT_STEPS)),
        description="Weights in percent, rising to 100. Each is a number, or `{weight, for, hold}`: `for` is the "
        "minimum duration of the step, and with `hold` only an operator ends it, by `promote`. A step can also have "
        "`rules` and a `mirror`, which apply during the step; its weight may then be 0. Or `auto`, which depends on "
        "the traffic at the start; or `{from, to, by}`; or `{curve: exponential, count}`.",
        examples=[
            "[{weight: 0, for: 10m, mirror: {percent: 10}}, 1, {weight: 5, for: 10m}, {weight: 50, hold: true}, 100]"
        ],
    )
    every: leaves.LongDuration = Field(default=60.0, description="Minimum duration of a step.", examples=["5m"])
    bake: leaves.LongDuration = Field(
        default=300.0,
        description="How long the canary gets all traffic before the rollout has succeeded.",
        examples=["1h"],
    )
    start: StartWord = Field(
        default="manual",
        description="How a rollout starts: `manual`, by the API or the command line; `auto`, with every new canary.",
        examples=["auto"],
    )
    prove_above: leaves.Percent = Field(
        default=5000,
        description="Weights above this need a proof that errors and latency are not worse than those of stable.",
        examples=["20%"],
    )
    step_timeout: StepTimeout = Field(
        default=None,
        description="Maximum duration of a step. `auto`: three times its expected duration, at least half an hour.",
        examples=["2h"],
    )
    on_timeout: OnTimeoutWord = Field(
        default="pause", description="The reaction to a timeout: `pause` or `abort`.", examples=["abort"]
    )
    rollback_step: RollbackStep = Field(
        default=None,
        description="How the canary is rolled back: `immediate`, or the duration of each step down, for a stable "
        "version that cannot take all traffic at once. The hard limit, failed health checks and `abort` are always "
        "immediate.",
        examples=["10s"],
    )
    max_duration: MaxDuration = Field(
        default=DAY, description="Maximum duration of the whole rollout.", examples=["8h"]
    )
    max_failed: MaxFailed = Field(
        default=None,
        description="Maximum number of failed requests of the canary beyond the number expected of stable. More end "
        "the rollout.",
        examples=["100"],
    )
    hooks: Annotated[tuple[HookConfig, ...], BeforeValidator(sequence), AfterValidator(distinct("hook"))] = Field(
        default=(),
        description="Webhooks: gates, which have to agree, and notifications. See below.",
        examples=["[{name: approval, when: promotion, url: 'http://approvals/shop'}]"],
    )
    notify: NotifyConfig | None = Field(
        default=None,
        description="A service that receives every event. See below.",
        examples=["{url: 'http://chat/hook', style: slack}"],
    )
    dry_run: leaves.DryRun = False

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if isinstance(self.steps, tuple) and self.prove_above < self.steps[0].weight and self.prove_above:
            first = percent_text(self.steps[0].weight)
            raise InvalidValueError(
                f"begin at {percent_text(self.prove_above)} or below, or set prove_above: 100%",
                found=f"a first step of {first}, which needs a proof before the canary has had any traffic",
                plain="a first step that needs a proof before the canary has had any traffic",
                plain_hint="begin at `prove_above` or below, or set prove_above: 100%",
            )
        return self

    def extras(self, weight: int) -> WrittenStep | None:
        """The step with this weight, if it has rules or a mirror. Each weight occurs once."""
        steps = self.steps if isinstance(self.steps, tuple) else ()
        found = next((one for one in steps if one.weight == weight), None)
        return found if found is not None and (found.rules.rules or found.mirror) else None

    @property
    def rule_names(self) -> frozenset[str]:
        """The names of the rules of all steps."""
        steps = self.steps if isinstance(self.steps, tuple) else ()
        return frozenset(rule.name for step in steps for rule in step.rules.rules)

    def plan(self, rate: float) -> Plan:
        """The plan of a rollout; `rate` is the number of requests per second to stable at its start."""
        if isinstance(self.steps, tuple):
            found = tuple(
                Step(one.weight, self.every if one.dwell is None else one.dwell, one.hold) for one in self.steps
            )
        else:
            found = resolved(self.steps, self.every, rate)
        return Plan(
            steps=found,
            bake=self.bake,
            step_timeout=self.step_timeout,
            on_timeout=self.on_timeout,
            max_duration=self.max_duration,
            max_failed=self.max_failed,
            start=self.start,
            dry_run=self.dry_run,
            ramp=self.rollback_step,
        )


# Canary requests that a proof needs for a healthy service, approximately.
NEEDED_FOR_PROOF = 1600


def expected_seconds(dwell: float, weight: int, needed: int, rate: float) -> float:
    """The expected duration of a step in seconds at `rate` requests per second; infinite without traffic."""
    pace = rate * weight / FULL_WEIGHT
    return max(dwell, needed / pace) if pace > 0 else math.inf
