"""What the API takes and gives of rollouts: models like those of `models`."""

from typing import Annotated, Literal

from pydantic import Field

from canaryproxy.admin.models import Model, Phase, SamplesDocument
from canaryproxy.rollout.record import Result
from canaryproxy.rollout.state import Verb

VERBS: dict[Verb, str] = {
    "start": "Begin a rollout, also of the next version after a rollback or in place of one that is under way",
    "pause": "Stay at this step",
    "resume": "Go on after a pause",
    "promote": "Go to the next step now, whatever the verdict; out of a bake, to its end",
    "abort": "Take the canary back: no request whose head arrives after the 200 reaches it",
    "retry": "Try a version again that was taken back",
    "reset": "Be done with a rollout that has ended: all traffic to stable",
}

RolloutId = Annotated[str, Field(pattern=r"^[0-9a-z-]{1,40}$")]
VersionText = Annotated[str, Field(max_length=200, pattern=r"^[!-~]*$")]


class RolloutBody(Model):
    """How a verb is meant."""

    full: bool = Field(default=False, description="`promote`: to 100 % at once.")
    rollout_id: RolloutId | None = Field(
        default=None,
        description="Only if this is the rollout that there is; else 409.",
        examples=["20261128-022013-k3f9z"],
    )


class BeginBody(RolloutBody):
    """How a verb is meant with which a rollout begins, and what the versions are called."""

    version: VersionText = Field(default="", description="What the canary's version is called.", examples=["v42"])
    stable_version: VersionText = Field(default="", description="What stable's version is called.", examples=["v41"])


def body_of(verb: Verb) -> type[RolloutBody]:
    """What a verb takes."""
    return BeginBody if verb in ("start", "retry") else RolloutBody


class RolloutDocument(Model):
    """Where a rollout stands. Weights in percent, times as seconds since 1970."""

    route: str
    id: str | None = Field(description="Which rollout it is; null in idle.")
    stable_version: str | None = Field(description="What stable is called, null where that is not known.")
    canary_version: str | None = Field(description="What the canary is called, null where that is not known.")
    phase: Phase
    reason: str | None = Field(description="In a word, where there is one.")
    why: str | None = Field(description="In a sentence.")
    step: int | None = Field(description="The number of the step, from 0 on.")
    steps: list[float] = Field(description="The weights of all steps.")
    weight: float
    began: float | None
    since: float | None = Field(description="When this phase began.")
    next: float | None = Field(description="The weight that is to come.")
    not_before: float | None = Field(description="When it may come at the earliest.")
    timeout_at: float | None = Field(description="When the step has taken too long.")
    estimate: float | None = Field(description="Seconds that the step takes, about; null where it is not known.")
    verdict: Literal["pass", "fail", "inconclusive"]
    generation: int
    durable: bool = Field(
        default=True, description="False while what holds could not be kept on the disk; that is tried again."
    )


class RolloutRecordDocument(Model):
    """One rollout and how it stands or has ended. Times as seconds since 1970."""

    route: str
    id: str
    stable_version: str | None
    canary_version: str | None
    result: Result
    reason: str | None = Field(description="Of a rollback, in a word.")
    why: str | None = Field(description="In a sentence.")
    superseded_by: str | None = Field(description="The id of the rollout that took its place.")
    began: float | None
    ended: float | None


class RolloutsDocument(Model):
    """The last rollouts of a route, the newest first; the first may be under way."""

    route: str
    rollouts: list[RolloutRecordDocument]


class Comparison(Model):
    """One thing of which both versions have a value. `interval` as in a check."""

    name: str
    comparison: Literal["better", "no difference shown", "worse"]
    canary: float | None
    stable: float | None
    ratio: float | None
    interval: list[float | None] | None
    unit: str
    samples: SamplesDocument
    sentence: str


class ExposedDocument(Model):
    """What the canary was trusted with since it is judged."""

    requests: int
    failed: int
    beyond_stable: float = Field(description="How many more of them it failed than stable would have, at its rate.")
    users: int | None = Field(description="Its users since the weight was last changed; null without affinity.")


class ReportDocument(Model):
    """What the new version is like beside the old one, check by check."""

    route: str
    rollout_id: str | None = Field(description="The rollout that it is about; null where there was none.")
    stable_version: str | None
    canary_version: str | None
    result: Result | None = Field(description="How that stands or has ended; the report is of that moment.")
    why: str | None = Field(description="Why it has ended.")
    began: float | None
    ended: float | None
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str
    weight: float
    seconds: float
    exposed: ExposedDocument
    comparison: list[Comparison]
