"""The part of the schema that says how a canary is raised. Left out, or empty, it is raised by the defaults."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.hooks import HookConfig, NotifyConfig
from canaryproxy.config.schema.rules import RuleConfig, RuleSet, rule_list
from canaryproxy.config.schema.safety import MirrorConfig
from canaryproxy.config.schema.section import LongDuration, Percent, Section, ShownAs, Switch
from canaryproxy.config.types.quantity import (
    count,
    count_text,
    duration,
    duration_text,
    is_off,
    percent,
    percent_text,
    switch,
)
from canaryproxy.config.types.sequence import sequence
from canaryproxy.model.table import Mirror
from canaryproxy.rollout.plan import FULL_WEIGHT, Auto, Curve, OnTimeout, Plan, Range, Shape, Start, Step, resolved

Part = TypeVar("Part")

NO_RULES = RuleSet(())

DEFAULT_STEPS = (100, 500, 2500, 5000, FULL_WEIGHT)
MAX_STEPS = 100
DAY = 86_400.0
STEPS_EXPECTED = (
    "expected weights that rise to 100, such as [1, 5, 25, 50, 100], or auto, {from, to, by}, {curve, count}"
)


@dataclass(frozen=True)
class WrittenStep:
    """A step as written: its weight, its own dwell if it has one, whether it holds; rules that come before the route's,
    and a mirror in place of the route's, as long as it lasts.
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
            "a step is a weight, or {weight, for, hold, rules, mirror}", found=f"keys {', '.join(map(str, value))}"
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
    """A part of a step that has a schema of its own. Raises `InvalidValueError` with the first thing that is wrong."""
    try:
        found: Part = TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        wrong = first.get("ctx", {}).get("error")
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        hint = wrong.hint if isinstance(wrong, InvalidValueError) else first["msg"]
        raise InvalidValueError(f"{where}: {hint}" if where else hint, found="a step's rule or mirror") from None
    return found


def _weight(value: object) -> int:
    weight = percent(value)
    if not weight:
        raise InvalidValueError("a step's weight is above 0, unless it has rules or a mirror")
    return weight


def _shape(value: dict[object, object]) -> Shape:
    if value.keys() == {"from", "to", "by"}:
        first, last, by = (_weight(value[key]) for key in ("from", "to", "by"))
        if first >= last or (last - first) / by > MAX_STEPS:
            raise InvalidValueError(f"expected from below to, and at most {MAX_STEPS} steps")
        return Range(first, last, by)
    if value.keys() == {"curve", "count"} and value["curve"] == "exponential":
        return Curve(count(2, MAX_STEPS)(value["count"]))
    raise InvalidValueError(STEPS_EXPECTED)


def steps_text(value: Steps) -> str:
    """As it would be written."""
    if isinstance(value, Auto):
        return "auto"
    if isinstance(value, Range):
        return f"{{from: {value.first / 100:g}, to: {value.last / 100:g}, by: {value.by / 100:g}}}"
    if isinstance(value, Curve):
        return f"{{curve: exponential, count: {value.count}}}"
    return f"[{', '.join(f'{step.weight / 100:g}' for step in value)}]"


def timeout(value: object) -> float | None:
    """How long a step may take; None for `auto`."""
    return None if value == "auto" else duration(1, 30 * DAY)(value)


def on_timeout(value: object) -> OnTimeout:
    """What follows then."""
    if value == "pause":
        return "pause"
    if value == "abort":
        return "abort"
    raise InvalidValueError("expected pause or abort")


def start(value: object) -> Start:
    """Who starts a rollout."""
    if value == "manual":
        return "manual"
    if value == "auto":
        return "auto"
    raise InvalidValueError("expected manual or auto")


def ramp(value: object) -> float | None:
    """How long each step down takes; None for `immediate`."""
    return None if value == "immediate" else duration(0.1, DAY)(value)


def max_failed(value: object) -> int | None:
    """A number of requests; None for no bound."""
    return None if is_off(value) else count(1, 1_000_000_000)(value)


StepsOf = Annotated[Steps, PlainValidator(steps), ShownAs(steps_text)]
StepTimeout = Annotated[
    float | None, PlainValidator(timeout), ShownAs(lambda value: "auto" if value is None else duration_text(value))
]
OnTimeoutWord = Annotated[OnTimeout, PlainValidator(on_timeout), ShownAs(str)]
StartWord = Annotated[Start, PlainValidator(start), ShownAs(str)]
RampWord = Annotated[
    float | None, PlainValidator(ramp), ShownAs(lambda value: "immediate" if value is None else duration_text(value))
]
MaxFailed = Annotated[int | None, PlainValidator(max_failed), ShownAs(count_text)]
Longest = Annotated[float, PlainValidator(duration(1, 365 * DAY)), ShownAs(duration_text)]


class RolloutConfig(Section):
    """How the canary is raised, once it is started. `rollout: {}` takes all of these."""

    steps: StepsOf = Field(
        default=tuple(map(WrittenStep, DEFAULT_STEPS)),
        description="Weights in percent, rising to 100. Each is one number, or `{weight, for, hold}`: for how long at "
        "least, and whether it is left only when an operator promotes; `rules` and `mirror` hold as long as it lasts, "
        "and with them its weight may be 0. Or `auto`, by the traffic at the start; "
        "`{from, to, by}`; `{curve: exponential, count}`.",
        examples=[
            "[{weight: 0, for: 10m, mirror: {percent: 10}}, 1, {weight: 5, for: 10m}, {weight: 50, hold: true}, 100]"
        ],
    )
    every: LongDuration = Field(default=60.0, description="For how long a step lasts at least.", examples=["5m"])
    bake: LongDuration = Field(
        default=300.0,
        description="For how long the canary has all of the traffic before it has succeeded.",
        examples=["1h"],
    )
    start: StartWord = Field(
        default="manual",
        description="Who starts it: `manual`, by API or command line; `auto`, a canary that is another one.",
        examples=["auto"],
    )
    prove_above: Percent = Field(
        default=5000,
        description="Weights above this want proof that errors and latency are no worse.",
        examples=["20%"],
    )
    step_timeout: StepTimeout = Field(
        default=None,
        description="How long a step may take. `auto`: three times what it is expected to, half an hour at least.",
        examples=["2h"],
    )
    on_timeout: OnTimeoutWord = Field(
        default="pause", description="What follows: `pause` or `abort`.", examples=["abort"]
    )
    rollback_step: RampWord = Field(
        default=None,
        description="How it is taken back: `immediate`, or the time that each step down takes, for a stable that "
        "cannot bear everything at once. The hard limit, failing health checks and `abort` are immediate in any case.",
        examples=["10s"],
    )
    max_duration: Longest = Field(default=DAY, description="How long all of it may take.", examples=["8h"])
    max_failed: MaxFailed = Field(
        default=None,
        description="Ends it once the canary has failed so many requests more than stable would have.",
        examples=["100"],
    )
    hooks: Annotated[tuple[HookConfig, ...], BeforeValidator(sequence)] = Field(
        default=(),
        description="Webhooks that have to agree, or are notified. See below.",
        examples=["[{name: approval, when: promotion, url: 'http://approvals/shop'}]"],
    )
    notify: NotifyConfig | None = Field(
        default=None,
        description="Receivers of every event. See below.",
        examples=["{url: 'http://chat/hook', style: slack}"],
    )
    dry_run: Switch = Field(
        default=False, description="Say what would follow, and let nothing follow.", examples=["true"]
    )

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return tuple(path for one in (*self.hooks, self.notify) if one is not None for path in one.files)

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        names = [hook.name for hook in self.hooks]
        if len(set(names)) < len(names):
            raise InvalidValueError("give each a name of its own", found="two hooks with one name")
        return self

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if isinstance(self.steps, tuple) and self.prove_above < self.steps[0].weight and self.prove_above:
            first = percent_text(self.steps[0].weight)
            raise InvalidValueError(
                f"begin at {percent_text(self.prove_above)} or below, or set prove_above: 100%",
                found=f"a first step of {first}, which wants a proof that nothing can give before it",
                plain=InvalidValueError(
                    "begin at `prove_above` or below, or set prove_above: 100%",
                    found="a first step that wants a proof which nothing can give before it",
                ),
            )
        return self

    def extras(self, weight: int) -> WrittenStep | None:
        """What is written for the step of a weight, if the config has it; each weight is there once."""
        steps = self.steps if isinstance(self.steps, tuple) else ()
        found = next((one for one in steps if one.weight == weight), None)
        return found if found is not None and (found.rules.rules or found.mirror) else None

    @property
    def rule_names(self) -> frozenset[str]:
        """Of the rules that steps bring with them."""
        steps = self.steps if isinstance(self.steps, tuple) else ()
        return frozenset(rule.name for step in steps for rule in step.rules.rules)

    def plan(self, rate: float) -> Plan:
        """What is followed, for stable's requests a second at the start."""
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


NEEDED_FOR_PROOF = 1600
"""Canary requests that a proof takes of a healthy service, about."""


def expected_seconds(dwell: float, weight: int, needed: int, rate: float) -> float:
    """How long a step takes at `rate` requests a second in all; infinite without traffic."""
    pace = rate * weight / FULL_WEIGHT
    return max(dwell, needed / pace) if pace > 0 else math.inf
