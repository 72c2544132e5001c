"""The state of a rollout, the events that may happen to it, and the notices that result. Plain data.

Weights are basis points, times are seconds since 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from canaryproxy.rollout.identity import NAMELESS, RolloutIdentity
from canaryproxy.rollout.plan import Plan, Step

Phase = Literal["idle", "progressing", "paused", "baking", "succeeded", "rolled_back"]
Verb = Literal["start", "pause", "resume", "promote", "abort", "retry", "reset"]
Kind = Literal[Verb, "tick", "changed", "named", "edited", "removed", "added"]
Severity = Literal["info", "warning", "critical"]

# Phases in which the rollout sets the weight.
UNDER_WAY: frozenset[Phase] = frozenset(("progressing", "paused", "baking"))


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rollout of one route.

    `steps` are those of its plan; `step` is the index of the present one. `began`, `since` and `step_since` are when
    the rollout, its phase and its step began; `timeout_at` is when the step times out (0 until that is known).
    `reason` is a word, `why` a sentence. `released`: an operator has resumed the step although the plan holds it.
    `before` is the phase that a pause interrupted. `controls` counts how often a bake returned to the comparison.
    `warned`: in a dry run, the notice of a rollback has been sent. `identity` is that of this rollout; in idle, that
    of the last one. `extra` are stored fields of a later version: kept as they are, and dropped with the rollout.
    """

    phase: Phase = "idle"
    reason: str = ""
    why: str = ""
    steps: tuple[Step, ...] = ()
    step: int | None = None
    weight: int = 0
    began: float = 0.0
    since: float = 0.0
    step_since: float = 0.0
    timeout_at: float = 0.0
    released: bool = False
    before: Phase = "progressing"
    controls: int = 0
    warned: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    identity: RolloutIdentity = NAMELESS

    @property
    def off(self) -> bool:
        """Whether the canary gets no traffic at all, not even by a rule or a cookie."""
        return self.phase == "rolled_back" and not self.weight

    @property
    def named(self) -> RolloutIdentity:
        """The identity of the present rollout: none in idle."""
        return NAMELESS if self.phase == "idle" else self.identity

    @property
    def next_weight(self) -> int | None:
        """The weight of the next step; None if no rollout is under way."""
        if self.phase not in UNDER_WAY or self.step is None:
            return None
        return self.steps[min(self.step + 1, len(self.steps) - 1)].weight

    @property
    def moves(self) -> bool:
        """Whether the weight may change without an operator: the rollout is under way, or rolls back step by step."""
        return self.phase in UNDER_WAY or (self.phase == "rolled_back" and self.weight > 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """The measurements at a tick. `verdict` and `why` are those of the judge for leaving this step; `excess_failures`
    is how many requests the canary failed beyond stable's rate; `uncontrolled` is why a canary with all of the traffic
    is suspicious (empty if it is not); `stable_ill`: stable has no healthy endpoint to roll back to; `gate` is why an
    external gate is closed (empty if it is open); `estimate` is the expected duration of the step in seconds (0 if
    unknown); `lost` are seconds of the step without supervision. `urgent`: roll back at once, not step by step.
    """

    verdict: Literal["pass", "fail", "inconclusive"] = "inconclusive"
    why: str = ""
    excess_failures: float = 0.0
    uncontrolled: str = ""
    stable_ill: bool = False
    gate: str = ""
    estimate: float = 0.0
    lost: float = 0.0
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """An event. `changed`: the canary is another version; `removed`, `added`: the route has no canary any more, or has
    one again; `edited`: the config has another plan. `reaches`: a rule or a weight sends requests to the canary without
    a rollout; `latched`: the canary is off for another reason than a rollout; `waiting` is the weight of the config
    that applies after the rollout. `identity` is that of a rollout which begins with the event; `report`, plain data,
    holds the results of the canary so far; `only` is the id of the rollout that the verb is for (empty for any).
    """

    kind: Kind
    observation: Observation = Observation()
    full: bool = False
    reaches: bool = False
    latched: bool = False
    waiting: int | None = None
    by: str = ""
    identity: RolloutIdentity = NAMELESS
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)
    only: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a row of the table decides by."""

    plan: Plan
    state: Rollout
    event: RolloutEvent
    now: float

    @property
    def step(self) -> Step:
        """The present step of the plan."""
        return self.plan.steps[self.state.step or 0]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for log, events, history and hooks."""

    severity: Severity
    words: str


def step_text(rollout: Rollout) -> str:
    """The step counted from one, with the same words in log, events, history and `status`. Data (`step` of the API, of
    hooks and of metrics) counts from zero.
    """
    return "no step" if rollout.step is None else f"step {rollout.step + 1} of {len(rollout.steps)}"


def summary(rollout: Rollout, notices: Sequence[Notice]) -> str:
    """The result of an event, for the history."""
    return "; ".join(one.words for one in notices) or f"{rollout.phase}, {step_text(rollout)}"


class IllegalTransitionError(Exception):
    """The verb is not legal in this phase; the message names those that are."""
