"""The part of the schema that says how a canary is raised. Left out, or empty, it is raised by the defaults."""

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from canaryproxy.config.hook import HookConfig, NotifyConfig
from canaryproxy.config.lists import any_number
from canaryproxy.config.problem import Wrong
from canaryproxy.config.quantity import (
    count,
    count_text,
    duration,
    duration_text,
    is_off,
    percent,
    percent_text,
    switch,
)
from canaryproxy.config.section import Grace, Percent, Section, Shown, Switch
from canaryproxy.rollout.plan import WHOLE, Auto, Curve, OnTimeout, Plan, Range, Shape, Start, Step, resolved

DEFAULT_STEPS = (100, 500, 2500, 5000, WHOLE)
MOST_STEPS = 100
DAY = 86_400.0
STEPS_EXPECTED = (
    "expected weights that rise to 100, such as [1, 5, 25, 50, 100], or auto, {from, to, by}, {curve, count}"
)

Written = tuple[tuple[int, float | None, bool], ...]
"""Steps as written: weight, own dwell if it has one, whether it holds."""

Steps = Written | Shape


def steps(value: object) -> Steps:
    """The steps of a plan."""
    if value == "auto":
        return Auto()
    if isinstance(value, dict):
        return _shape(value)
    if not isinstance(value, list) or not value or len(value) > MOST_STEPS:
        raise Wrong(STEPS_EXPECTED)
    found = tuple(_step(one) for one in value)
    weights = [weight for weight, _, _ in found]
    if weights != sorted(set(weights)) or weights[-1] != WHOLE:
        raise Wrong(STEPS_EXPECTED, found=f"weights {', '.join(map(percent_text, weights))}")
    return found


def _step(value: object) -> tuple[int, float | None, bool]:
    if not isinstance(value, dict):
        return _weight(value), None, False
    unknown = value.keys() - {"weight", "for", "hold"}
    if unknown or "weight" not in value:
        raise Wrong("a step is a weight, or {weight, for, hold}", found=f"keys {', '.join(map(str, value))}")
    dwell = duration(0, DAY)(value["for"]) if "for" in value else None
    return _weight(value["weight"]), dwell, switch(value.get("hold", False))


def _weight(value: object) -> int:
    weight = percent(value)
    if not weight:
        raise Wrong("a step's weight is above 0")
    return weight


def _shape(value: dict[object, object]) -> Shape:
    if value.keys() == {"from", "to", "by"}:
        first, last, by = (_weight(value[key]) for key in ("from", "to", "by"))
        if first >= last or (last - first) / by > MOST_STEPS:
            raise Wrong(f"expected from below to, and at most {MOST_STEPS} steps")
        return Range(first, last, by)
    if value.keys() == {"curve", "count"} and value["curve"] == "exponential":
        return Curve(count(2, MOST_STEPS)(value["count"]))
    raise Wrong(STEPS_EXPECTED)


def steps_text(value: Steps) -> str:
    """As it would be written."""
    if isinstance(value, Auto):
        return "auto"
    if isinstance(value, Range):
        return f"{{from: {value.first / 100:g}, to: {value.last / 100:g}, by: {value.by / 100:g}}}"
    if isinstance(value, Curve):
        return f"{{curve: exponential, count: {value.count}}}"
    return f"[{', '.join(f'{weight / 100:g}' for weight, _, _ in value)}]"


def timeout(value: object) -> float | None:
    """How long a step may take; None for `auto`."""
    return None if value == "auto" else duration(1, 30 * DAY)(value)


def on_timeout(value: object) -> OnTimeout:
    """What follows then."""
    if value == "pause":
        return "pause"
    if value == "abort":
        return "abort"
    raise Wrong("expected pause or abort")


def start(value: object) -> Start:
    """Who starts a rollout."""
    if value == "manual":
        return "manual"
    if value == "auto":
        return "auto"
    raise Wrong("expected manual or auto")


def ramp(value: object) -> float | None:
    """How long each step down takes; None for `immediate`."""
    return None if value == "immediate" else duration(0.1, DAY)(value)


def most_failed(value: object) -> int | None:
    """A number of requests; None for no bound."""
    return None if is_off(value) else count(1, 1_000_000_000)(value)


StepsOf = Annotated[Steps, PlainValidator(steps), Shown(steps_text)]
StepTimeout = Annotated[
    float | None, PlainValidator(timeout), Shown(lambda value: "auto" if value is None else duration_text(value))
]
OnTimeoutWord = Annotated[OnTimeout, PlainValidator(on_timeout), Shown(str)]
StartWord = Annotated[Start, PlainValidator(start), Shown(str)]
RampWord = Annotated[
    float | None, PlainValidator(ramp), Shown(lambda value: "immediate" if value is None else duration_text(value))
]
MostFailed = Annotated[int | None, PlainValidator(most_failed), Shown(count_text)]
Longest = Annotated[float, PlainValidator(duration(1, 365 * DAY)), Shown(duration_text)]


class RolloutConfig(Section):
    """How the canary is raised, once somebody starts it. `rollout: {}` takes all of these."""

    steps: StepsOf = Field(
        default=tuple((weight, None, False) for weight in DEFAULT_STEPS),
        description="Weights in percent, rising to 100. Each is one number, or `{weight, for, hold}`: for how long at "
        "least, and whether it is left only when somebody promotes. Or `auto`, by the traffic at the start; "
        "`{from, to, by}`; `{curve: exponential, count}`.",
        examples=["[1, {weight: 5, for: 10m}, {weight: 50, hold: true}, 100]"],
    )
    every: Grace = Field(default=60.0, description="For how long a step lasts at least.", examples=["5m"])
    bake: Grace = Field(
        default=300.0, description="For how long the canary has all of the traffic before it has succeeded.",
        examples=["1h"],
    )  # fmt: skip
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
    rollback: RampWord = Field(
        default=None,
        description="How it is taken back: `immediate`, or the time that each step down takes, for a stable that "
        "cannot bear everything at once. The hard limit, failing health checks and `abort` are immediate in any case.",
        examples=["10s"],
    )
    max_duration: Longest = Field(default=DAY, description="How long all of it may take.", examples=["8h"])
    max_failed: MostFailed = Field(
        default=None,
        description="Ends it once the canary has failed so many requests more than stable would have.",
        examples=["100"],
    )
    hooks: Annotated[tuple[HookConfig, ...], BeforeValidator(any_number)] = Field(
        default=(),
        description="Webhooks that have to agree, or are told. See below.",
        examples=["[{name: approval, when: promotion, url: 'http://approvals/shop'}]"],
    )
    notify: NotifyConfig | None = Field(
        default=None,
        description="Who is told of everything. See below.",
        examples=["{url: 'http://chat/hook', style: slack}"],
    )
    dry_run: Switch = Field(
        default=False, description="Say what would follow, and let nothing follow.", examples=["true"]
    )

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        tokens = [
            one.token_file for one in (*self.hooks, self.notify) if one is not None and one.token_file is not None
        ]
        return tuple(token.path for token in tokens if token.path is not None)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names = [hook.name for hook in self.hooks]
        if len(set(names)) < len(names):
            raise Wrong("give each a name of its own", found="two hooks with one name")
        return self

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if isinstance(self.steps, tuple) and self.prove_above < self.steps[0][0] and self.prove_above:
            first = percent_text(self.steps[0][0])
            raise Wrong(
                f"begin at {percent_text(self.prove_above)} or below, or set prove_above: 100%",
                found=f"a first step of {first}, which wants a proof that nothing can give before it",
            )
        return self

    def plan(self, rate: float) -> Plan:
        """What is followed, for stable's requests a second at the start."""
        if isinstance(self.steps, tuple):
            found = tuple(
                Step(weight, self.every if dwell is None else dwell, hold) for weight, dwell, hold in self.steps
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
            ramp=self.rollback,
        )


NEEDED_FOR_PROOF = 1600
"""Canary requests that a proof takes of a healthy service, about."""


def expected_seconds(dwell: float, weight: int, needed: int, rate: float) -> float:
    """How long a step takes at `rate` requests a second in all; infinite without traffic."""
    pace = rate * weight / WHOLE
    return max(dwell, needed / pace) if pace > 0 else math.inf
