"""Request and response bodies of rollouts, like those of `models`."""

from typing import Annotated

from pydantic import Field

from canaryproxy.admin.models import Change, Model, Phase, SamplesDocument, VerdictName
from canaryproxy.rollout.record import Result
from canaryproxy.rollout.state import Verb

VERBS: dict[Verb, str] = {
    "start": "Start a rollout: the first, the next version after a rollback, or instead of the current one",
    "pause": "Pause at the current step",
    "resume": "Resume a paused rollout",
    "promote": "Advance to the next step now, whatever the verdict; complete a bake",
    "abort": "Roll back: no request whose head arrives after the 200 reaches the canary",
    "retry": "Start again with the version that was rolled back",
    "reset": "Clear an ended rollout: all traffic to stable, phase `idle`",
}

RolloutId = Annotated[str, Field(pattern=r"^[0-9a-z-]{1,40}$")]
VersionText = Annotated[str, Field(max_length=200, pattern=r"^[!-~]*$")]


class RolloutBody(Model):
    """Options of a verb."""

    full: bool = Field(default=False, description="`promote` only: go to 100 % at once.")
    rollout_id: RolloutId | None = Field(
        default=None,
        description="Refuse with 409 unless this is the current rollout.",
        examples=["20261128-022013-k3f9z"],
    )


class BeginBody(RolloutBody):
    """Options of a verb that starts a rollout, with version names."""

    version: VersionText = Field(default="", description="Version name of the canary.", examples=["v42"])
    stable_version: VersionText = Field(default="", description="Version name of stable.", examples=["v41"])


def body_of(verb: Verb) -> type[RolloutBody]:
    """The body of a verb."""
    return BeginBody if verb in ("start", "retry") else RolloutBody


class RolloutDocument(Model):
    """The state of a rollout. Weights in percent, times in seconds since 1970."""

    route: str
    id: str | None = Field(description="Id of the rollout; null in `idle`.")
    stable_version: str | None = Field(description="Version of stable; null if unknown.")
    canary_version: str | None = Field(description="Version of the canary; null if unknown.")
    phase: Phase
    reason: str | None = Field(description="Reason of the phase as a word.")
    why: str | None = Field(description="The reason as a sentence.")
    step: int | None = Field(description="Number of the current step, from 0.")
    steps: list[float] = Field(description="Weights of all steps.")
    weight: float
    began: float | None
    since: float | None = Field(description="Start of the phase.")
    next: float | None = Field(description="Weight of the next step.")
    not_before: float | None = Field(description="Earliest time of the next step.")
    timeout_at: float | None = Field(description="Timeout of the step.")
    estimate: float | None = Field(description="Estimated seconds to the next step; null if unknown.")
    verdict: VerdictName
    generation: int
    durable: bool = Field(default=True, description="False while the state cannot be written; retried.")


class RolloutRecordDocument(Model):
    """A rollout and its result. Times in seconds since 1970."""

    route: str
    id: str
    stable_version: str | None
    canary_version: str | None
    result: Result
    reason: str | None = Field(description="Reason of a rollback as a word.")
    why: str | None = Field(description="The reason as a sentence.")
    superseded_by: str | None = Field(description="Id of the rollout that replaced it.")
    began: float | None
    ended: float | None


class RolloutsDocument(Model):
    """The last rollouts of a route, newest first, including the current one."""

    route: str
    rollouts: list[RolloutRecordDocument]


class Comparison(Model):
    """A value measured for both versions. `interval` as in a check."""

    name: str
    comparison: Change
    canary: float | None
    stable: float | None
    ratio: float | None
    interval: list[float | None] | None
    unit: str
    samples: SamplesDocument
    sentence: str


class ExposedDocument(Model):
    """Exposure of users and requests to the canary since the start of the analysis."""

    requests: int
    failed: int
    beyond_stable: float = Field(description="Failed requests beyond stable's failure rate.")
    users: int | None = Field(description="Users since the last change of the weight; null without affinity.")


class ReportDocument(Model):
    """Comparison of canary and stable, check by check."""

    route: str
    rollout_id: str | None = Field(description="The rollout; null if there was none.")
    stable_version: str | None
    canary_version: str | None
    result: Result | None = Field(description="Result of the rollout; the report is of its end.")
    why: str | None = Field(description="Why the rollout has ended.")
    began: float | None
    ended: float | None
    verdict: VerdictName
    reason: str
    weight: float
    seconds: float
    exposed: ExposedDocument
    comparison: list[Comparison]
