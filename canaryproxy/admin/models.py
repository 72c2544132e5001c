"""What the API takes and gives: these models check requests and are the OpenAPI's schemas.

A rule's body is checked by the config's own readers; `rule_schema` describes it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from canaryproxy.admin import endpoints
from canaryproxy.model.goal import MAX_VALUE
from canaryproxy.model.table import FULL_WEIGHT

Model = endpoints.Model
Endpoints = endpoints.EndpointsDocument
Failing = endpoints.FailingDocument

ROUNDING_TOLERANCE = 1e-6
"""Basis points by which a number may miss two decimals, as sums of floats do."""


def two_decimals(value: object) -> object:
    """Refuse what is no number of basis points. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number from 0 to 100 with at most two decimals")  # noqa: TRY004 - pydantic's way
    points = value * (FULL_WEIGHT // 100)
    if not 0 <= value <= 100 or abs(points - round(points)) > ROUNDING_TOLERANCE:
        raise ValueError("expected a number from 0 to 100 with at most two decimals")
    return float(value)


Percent = Annotated[
    float,
    BeforeValidator(two_decimals),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01}),
]


Phase = Literal["idle", "progressing", "paused", "baking", "succeeded", "rolled_back"]


class WeightBody(Model):
    """The canary's share."""

    canary: Percent = Field(description="Percent to the canary, at most two decimals.", examples=[12.5])

    @property
    def basis_points(self) -> int:
        """As the table has it."""
        return round(self.canary * (FULL_WEIGHT // 100))


class Weight(Model):
    """A weight that every worker follows."""

    route: str
    canary: float
    stable: float
    generation: int
    source: Literal["file", "api", "rollout"]


Rule = dict[str, Any]


class StorageDocument(Model):
    """How what is changed while it runs is kept. `too_new`: the file is of a newer version, so every canary is off and
    changes are refused; `unreadable` and `damaged`: every canary is off until that is decided; `unwritable`: changes
    are refused at present.
    """

    condition: Literal["ok", "unwritable", "unreadable", "too_new", "damaged"]
    detail: str | None = Field(description="What is wrong, null where nothing is.")


class RouteDocument(Model):
    """All that is known of a route. Weights in percent."""

    route: str
    generation: int
    hosts: list[str]
    paths: list[str]
    affinity: str
    canary: dict[str, Any] | None = Field(description="The canary as in the config; null where the route has none.")
    canary_source: Literal["file", "api"] = Field(description="Who said what the canary is, or that there is none.")
    weight: float = Field(description="Share configured for the canary.")
    source: Literal["file", "api", "rollout"] = Field(description="Who said so.")
    waiting_weight: float | None = Field(
        description="A weight of the file that has no effect before the route is idle; null where none waits."
    )
    observed_weight: float | None = Field(description="Share measured over the last minute, null without requests.")
    phase: Phase
    reason: str | None = Field(description="Why the canary is off, the rollout waits or has ended.")
    step: int | None
    rollout_id: str | None = Field(description="Of the rollout under way or the one that has ended here; null in idle.")
    stable_version: str | None = Field(description="What stable is called, null where that is not known.")
    canary_version: str | None = Field(description="What the canary is called, null where that is not known.")
    verdict: Literal["pass", "fail", "inconclusive"]
    rules: list[Rule]
    rules_source: Literal["file", "api"]
    endpoints: Endpoints
    state: StorageDocument
    failing: list[Failing] = Field(
        default=[], description="Whom this proxy asks or calls for the route, and who gives no good answer."
    )


class Routes(Model):
    """Every route."""

    generation: int
    routes: list[RouteDocument]


class Rules(Model):
    """The rules of a route, in order."""

    rules: list[Rule]
    source: Literal["file", "api"]


class RulesChanged(Rules):
    """The rules that every worker follows."""

    route: str
    generation: int


class GoalStats(Model):
    """Business events of a goal. `users` had one at least; `per_request` and `per_user` are shares of the version's
    requests and users.
    """

    events: int
    value: float
    users: int | None
    per_request: float | None
    per_user: float | None


class StepUsers(Model):
    """Distinct users of a version; `error` is the relative standard error, 0 where they are counted exactly."""

    users: int
    failed: int
    error: float


class StepDocument(Model):
    """What users met since the weight is what it is, `seconds` ago."""

    weight: float
    seconds: float
    stable: StepUsers
    canary: StepUsers


class VersionStats(Model):
    """What a version did. Times in seconds, within 1.1 %; null where nothing was measured."""

    requests: int
    errors: int
    error_rate: float | None
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    in_flight: int
    users: int | None = Field(description="Distinct affinity users; null without affinity.")
    users_failed: int | None = Field(description="Those of whom the version failed a request.")
    users_error: float | None = Field(
        description="Relative standard error of these two; 0 up to 100,000 users, which are counted exactly."
    )
    goals: dict[str, GoalStats]


class VersionsStats(Model):
    """Both versions; the canary null where there is none."""

    stable: VersionStats
    canary: VersionStats | None


class Stats(Model):
    """The last `window` seconds."""

    route: str
    window: float
    versions: VersionsStats
    step: StepDocument | None = Field(description="Users since the weight was last changed; null without affinity.")


class SamplesDocument(Model):
    """Units of both versions that were compared."""

    canary: int
    stable: int


class CheckDocument(Model):
    """One check. Values are of the weight as it is now, evidence is of all since the canary is judged and counts from
    its threshold on. `interval` is where the ratio lies (95 %, at any time); an upper limit of null is none.
    """

    name: str
    verdict: Literal["pass", "fail", "inconclusive"]
    sentence: str
    comparison: Literal["better", "no difference shown", "worse"] | None
    canary: float | None
    stable: float | None
    ratio: float | None
    interval: list[float | None] | None
    unit: str
    samples: SamplesDocument
    evidence: float | None
    threshold: float | None
    better: float | None = Field(description="Evidence that the canary is better; 20 and more is reported as such.")
    proof: float | None = Field(description="Evidence that it is no worse than allowed.")
    proof_threshold: float | None
    missing: str
    action: Literal["rollback", "hold"]
    dry_run: bool
    unknown: bool = Field(description="An external source does not answer.")
    p: float | None = Field(description='For "worse": a p-value that may be looked at at any time.')


class AnalysisDocument(Model):
    """Whether the canary is worse, no different or better, and why. `seconds` since the weight was last changed."""

    route: str
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str
    evidence: float
    threshold: float
    seconds: float
    weight: float
    placebo: float = Field(
        description="What evidence is divided by because a slice of stable looked ill; 1 if none did."
    )
    dry_run: bool
    checks: list[CheckDocument]


VersionName = Literal["stable", "canary"]

MAX_KEY_LENGTH = 4096


def given(value: object) -> object:
    """Refuse null where a key may be left out. Raises `ValueError`."""
    if value is None:
        raise ValueError("leave it out, or give a text")
    return value


class GoalBody(Model):
    """A business event. It is the version's, or the user's: give `version` or `key`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["version"]}, {"required": ["key"]}]})

    goal: str = Field(description="A goal of the route.", examples=["purchase"])
    value: Annotated[float, Field(ge=0, le=MAX_VALUE, allow_inf_nan=False)] = Field(
        default=1.0, description="What it is worth."
    )
    version: Annotated[
        VersionName | None,
        BeforeValidator(given),
        WithJsonSchema({"enum": ["stable", "canary"], "type": "string", "description": "Whose event it is."}),
    ] = None
    key: Annotated[
        Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)] | None,
        BeforeValidator(given),
        WithJsonSchema(
            {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_KEY_LENGTH,
                "description": "The user's affinity key: the value of the cookie or header, or the client's address. "
                "The user is counted once.",
            }
        ),
    ] = None


class GoalCounted(Model):
    """The event, and the version it was counted for."""

    route: str
    goal: str
    version: VersionName
    value: float


class HistoryEntryDocument(Model):
    """Something that was done."""

    at: str
    actor: str
    role: str
    address: str
    action: str
    detail: str
    generation: int | None = Field(description="Of the table that served until then.")
    outcome: str
    rollout_id: str | None = Field(description="The rollout that it was about, or the last one before.")
    stable_version: str | None
    canary_version: str | None


class HistoryDocument(Model):
    """The newest first."""

    route: str
    entries: list[HistoryEntryDocument]


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None
