"""What a rollout is at a moment, what may happen to it, and what there is to say. Plain data.

Weights are basis points, times seconds since 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from canaryproxy.rollout.identity import NAMELESS, RolloutIdentity
from canaryproxy.rollout.plan import Step

Phase = Literal["idle", "progressing", "paused", "baking", "succeeded", "rolled_back"]
Verb = Literal["start", "pause", "resume", "promote", "abort", "retry", "reset"]
Kind = Literal[
    "start",
    "pause",
    "resume",
    "promote",
    "abort",
    "retry",
    "reset",
    "tick",
    "changed",
    "named",
    "edited",
    "removed",
    "added",
]
Severity = Literal["info", "warning", "critical"]

UNDER_WAY: frozenset[Phase] = frozenset(("progressing", "paused", "baking"))
"""Phases in which the rollout says what the weight is."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One route's rollout. `steps` are those of its plan, as they were at the start; `weight` is in basis points;
    `began` and `since` are when it and its phase began, `step_since` when its step did; `timeout_at` is when the step
    has taken too long (0 before that is known). `reason` is a word, `why` a sentence. `released`: an operator let the
    step go on that was to be held. `before`: the phase that a pause interrupted. `controls` counts how often a bake
    went back to compare. `warned`: in a dry run, that it was said what would have happened. `identity`: which one it
    is; in idle, which one was before. `extra` is what a later version has stored of this rollout: kept as it is, and
    gone with it.
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
        """Whether the canary gets nothing whatever a rule or a cookie says."""
        return self.phase == "rolled_back" and not self.weight

    @property
    def named(self) -> RolloutIdentity:
        """Which one there is now: none in idle."""
        return NAMELESS if self.phase == "idle" else self.identity

    @property
    def next_weight(self) -> int | None:
        """The weight that is to come; None where none is under way."""
        if self.phase not in UNDER_WAY or self.step is None:
            return None
        return self.steps[min(self.step + 1, len(self.steps) - 1)].weight

    @property
    def moves(self) -> bool:
        """Whether it goes on by itself: it is under way, or on its way back."""
        return self.phase in UNDER_WAY or (self.phase == "rolled_back" and self.weight > 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known at a tick. `verdict` and `why` are the judge's, for leaving this step; `excess_failures` is by how
    many requests the canary failed more than stable's rate explains; `uncontrolled` says why a canary without a control
    is suspicious, empty if it is not; `stable_ill` that stable itself cannot be gone back to; `gate` says why a gate
    outside does not let it go on, empty if they do; `estimate` are the seconds that the step will take, as far as can
    be estimated; `lost` are those of it without supervision. `urgent`: there is no time to take it
    back step by step.
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
    """What happened. `changed`: the canary is another one; `removed`: there is none any more; `added`: there is one
    again. `reaches`: something sends requests to the canary although no rollout runs; `latched`: the canary is off for
    another reason than a rollout; `waiting`: the weight that the file has for the time after it; `edited`: the plan is
    another one. `identity` is that of a rollout which begins with it; `report`, plain data, is what was found of the
    canary until now; `only` is the id of the one rollout that is meant, empty for whichever there is.
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
class Notice:
    """Something to tell everybody, in a sentence."""

    severity: Severity
    words: str


def failure_text(rollout: Rollout) -> str:
    """The step as people count, from one on: the same words in log, events, history and `status`. Data
    (`step` of the API, of hooks and of metrics) counts from zero.
    """
    return "no step" if rollout.step is None else f"step {rollout.step + 1} of {len(rollout.steps)}"


def summary(rollout: Rollout, notice: Sequence[Notice]) -> str:
    """What came of an event, for the book."""
    return "; ".join(one.words for one in notice) or f"{rollout.phase}, {failure_text(rollout)}"


class IllegalTransitionError(Exception):
    """A verb that the phase does not know; the message names those that it does."""


def lasted(seconds: float) -> str:
    """A time in words."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
