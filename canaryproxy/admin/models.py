"""Request and response bodies of the API: they validate requests and are the schemas of the OpenAPI document. Bodies of
rules and canaries are validated by the readers of the configuration; `body_schemas` describes them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from canaryproxy.model.goal import MAX_VALUE
from canaryproxy.model.table import FULL_WEIGHT

# Basis points by which a float may differ from two decimals after arithmetic.
ROUNDING_TOLERANCE = 1e-6

Phase = Literal["idle", "progressing", "paused", "baking", "succeeded", "rolled_back"]
VerdictName = Literal["pass", "fail", "inconclusive"]
VersionName = Literal["stable", "canary"]
Change = Literal["better", "no difference shown", "worse"]
FailureKind = Literal[
    "status", "timeout", "refused", "reset", "closed", "unreachable", "dns", "tls", "not_http", "too_much", "other"
]
Rule = dict[str, Any]

# Characters of an affinity key.
MAX_KEY_LENGTH = 4096


def two_decimals(value: object) -> object:
    """A percentage that is a whole number of basis points. Raises `ValueError` for anything else."""
    if not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value <= 100:
        points = value * (FULL_WEIGHT // 100)
        if abs(points - round(points)) <= ROUNDING_TOLERANCE:
            return float(value)
    raise ValueError("expected a number from 0 to 100 with at most two decimals")


PERCENT_SCHEMA = WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01})
Percent = Annotated[float, BeforeValidator(two_decimals), PERCENT_SCHEMA]


class Model(BaseModel):
    """Strict types, no unknown fields, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class WeightBody(Model):
    """The canary's weight."""

    canary: Percent = Field(description="Percentage of requests for the canary, at most two decimals.", examples=[12.5])

    @property
    def basis_points(self) -> int:
        """The weight in basis points."""
        return round(self.canary * (FULL_WEIGHT // 100))


class Weight(Model):
    """A weight that every worker uses. Percent."""

    route: str
    canary: float
    stable: float
    generation: int
    source: Literal["file", "api", "rollout"]


class StorageDocument(Model):
    """Condition of the state file. `too_new`: written by a newer version; every canary is off, changes are refused.
    `unreadable`, `damaged`: every canary is off until an operator decides. `unwritable`: changes are refused for now.
    """

    condition: Literal["ok", "unwritable", "unreadable", "too_new", "damaged"]
    detail: str | None = Field(description="What is wrong; null if nothing is.")


class HealthCheckDocument(Model):
    """Result of the last health checks of an endpoint. Times in seconds since 1970."""

    passed: bool = Field(description="Whether the last check passed. `state` changes only after several alike.")
    reason: str | None = Field(description="Why the check failed; null if it passed.")
    kind: FailureKind | None = Field(description="The reason as a word; `closed`: the response was cut off.")
    since: float = Field(description="Time of the first of the consecutive checks with this result.")
    consecutive: int = Field(description="Number of consecutive checks with this result.")
    at: float = Field(description="Time of the last check.")


class EndpointDocument(Model):
    """An endpoint and its state. `ejected`: out of rotation after failed requests."""

    endpoint: str
    name: str
    state: Literal["healthy", "unhealthy", "ejected", "unknown"]
    check: HealthCheckDocument | None = Field(default=None, description="Null without health checks.")


class EndpointsDocument(Model):
    """The endpoints of both versions."""

    stable: list[EndpointDocument]
    canary: list[EndpointDocument]


class FailingDocument(Model):
    """A failing metric source, webhook or host name of the route. Times in seconds since 1970."""

    what: Literal["check", "resource", "hook", "notify", "name"]
    name: str
    reason: str
    since: float
    consecutive: int
    at: float


class RouteDocument(Model):
    """The full state of a route. Weights in percent."""

    route: str
    generation: int
    hosts: list[str]
    paths: list[str]
    affinity: str
    canary: dict[str, Any] | None = Field(description="The canary as in the configuration; null without a canary.")
    canary_source: Literal["file", "api"] = Field(description="Where the canary was configured or removed.")
    weight: float = Field(description="Configured weight of the canary.")
    source: Literal["file", "api", "rollout"] = Field(description="Where the weight was set.")
    waiting_weight: float | None = Field(description="Weight of the file that takes effect once the route is idle.")
    observed_weight: float | None = Field(description="Weight measured over the last minute; null without requests.")
    phase: Phase
    reason: str | None = Field(description="Why the canary is off, or the rollout is paused or has ended.")
    step: int | None
    rollout_id: str | None = Field(description="Id of the current or last rollout; null in `idle`.")
    stable_version: str | None = Field(description="Version of stable; null if unknown.")
    canary_version: str | None = Field(description="Version of the canary; null if unknown.")
    verdict: VerdictName
    rules: list[Rule]
    rules_source: Literal["file", "api"]
    endpoints: EndpointsDocument
    state: StorageDocument
    failing: list[FailingDocument] = Field(default=[], description="Dependencies of the route that fail.")


class Routes(Model):
    """All routes."""

    generation: int
    routes: list[RouteDocument]


class Rules(Model):
    """The rules of a route in order of evaluation."""

    rules: list[Rule]
    source: Literal["file", "api"]


class RulesChanged(Rules):
    """Rules that every worker uses."""

    route: str
    generation: int


class Canary(Model):
    """The canary of a route as in the configuration; null without a canary."""

    route: str
    canary: dict[str, Any] | None
    source: Literal["file", "api"] = Field(description="Where the canary was configured or removed.")


class CanaryChanged(Canary):
    """A canary that every worker uses."""

    weight: float
    phase: Phase
    generation: int


class GoalStats(Model):
    """Business events of a goal. `users`: users with at least one event; `per_request`, `per_user`: events per request
    and converted users per user of the version.
    """

    events: int
    value: float
    users: int | None
    per_request: float | None
    per_user: float | None


class StepUsers(Model):
    """Distinct users of a version. `error`: relative standard error, 0 for exact counts."""

    users: int
    failed: int
    error: float


class StepDocument(Model):
    """Users since the last change of the weight, `seconds` ago."""

    weight: float
    seconds: float
    stable: StepUsers
    canary: StepUsers


class VersionStats(Model):
    """Statistics of a version. Times in seconds, accurate to 1.1 %; null without measurements."""

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
    users_failed: int | None = Field(description="Users with at least one failed request.")
    users_error: float | None = Field(description="Relative standard error of both; 0 up to 100,000 users.")
    goals: dict[str, GoalStats]


class VersionsStats(Model):
    """Statistics of both versions; `canary` is null without a canary."""

    stable: VersionStats
    canary: VersionStats | None


class Stats(Model):
    """Statistics of the last `window` seconds."""

    route: str
    window: float
    versions: VersionsStats
    step: StepDocument | None = Field(description="Users since the last change of the weight; null without affinity.")


class SamplesDocument(Model):
    """Number of samples of each version."""

    canary: int
    stable: int


class CheckDocument(Model):
    """The result of a check. Values are measured at the current weight; `evidence` covers the whole analysis, and
    counts once it reaches `threshold`. `interval`: anytime-valid 95 % confidence interval of the ratio; an upper
    limit of null is infinite.
    """

    name: str
    verdict: VerdictName
    sentence: str
    comparison: Change | None
    canary: float | None
    stable: float | None
    ratio: float | None
    interval: list[float | None] | None
    unit: str
    samples: SamplesDocument
    evidence: float | None
    threshold: float | None
    better: float | None = Field(description="Evidence that the canary is better; reported from 20 on.")
    proof: float | None = Field(description="Evidence that the canary is no worse than allowed.")
    proof_threshold: float | None
    missing: str
    action: Literal["rollback", "hold"]
    dry_run: bool
    unknown: bool = Field(description="The external source does not answer.")
    p: float | None = Field(description='Anytime-valid p-value for "worse".')


class AnalysisDocument(Model):
    """The verdict on the canary and the checks behind it. `seconds`: time since the last change of the weight."""

    route: str
    verdict: VerdictName
    reason: str
    evidence: float
    threshold: float
    seconds: float
    weight: float
    placebo: float = Field(description="Divisor of the evidence: above 1 if part of stable looked unhealthy too.")
    dry_run: bool
    checks: list[CheckDocument]


def given(value: object) -> object:
    """Refuse an explicit null for an optional field. Raises `ValueError`."""
    if value is None:
        raise ValueError("leave the field out, or give a string")
    return value


class GoalBody(Model):
    """A business event, attributed to a version or to a user: either `version` or `key` is required."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["version"]}, {"required": ["key"]}]})

    goal: str = Field(description="A goal of the route.", examples=["purchase"])
    value: Annotated[float, Field(ge=0, le=MAX_VALUE, allow_inf_nan=False)] = Field(
        default=1.0, description="Value of the event, such as a price."
    )
    version: Annotated[
        VersionName | None,
        BeforeValidator(given),
        WithJsonSchema({"enum": ["stable", "canary"], "type": "string", "description": "The version to attribute to."}),
    ] = None
    key: Annotated[
        Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)] | None,
        BeforeValidator(given),
        WithJsonSchema(
            {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_KEY_LENGTH,
                "description": "Affinity key of the user: cookie, header value or client address. Users count once.",
            }
        ),
    ] = None


class GoalCounted(Model):
    """The event and the version to which it was attributed."""

    route: str
    goal: str
    version: VersionName
    value: float


class HistoryEntryDocument(Model):
    """An entry of the audit log."""

    at: str
    actor: str
    role: str
    address: str
    action: str
    detail: str
    generation: int | None = Field(description="Generation of the routing table before the change.")
    outcome: str
    rollout_id: str | None = Field(description="The rollout concerned, else the last one before.")
    stable_version: str | None
    canary_version: str | None


class HistoryDocument(Model):
    """The audit log of a route, newest entry first."""

    route: str
    entries: list[HistoryEntryDocument]


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None
