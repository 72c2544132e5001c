"""What the API takes and gives: these models check requests and are the OpenAPI's schemas.

A rule's body is checked by the config's own readers; `RuleBody` describes it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from canaryproxy.model.fields import UNMATCHED
from canaryproxy.model.table import WEIGHT_SCALE


class Model(BaseModel):
    """Strict, and nothing extra."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


NEARLY = 1e-6
"""Basis points by which a number may miss two decimals, as sums of floats do."""


def two_decimals(value: object) -> object:
    """Refuse what is no number of basis points. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number from 0 to 100 with at most two decimals")  # noqa: TRY004 - pydantic's way
    points = value * (WEIGHT_SCALE // 100)
    if not 0 <= value <= 100 or abs(points - round(points)) > NEARLY:
        raise ValueError("expected a number from 0 to 100 with at most two decimals")
    return float(value)


Percent = Annotated[
    float,
    BeforeValidator(two_decimals),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01}),
]


class WeightBody(Model):
    """The canary's share."""

    canary: Percent = Field(description="Percent to the canary, at most two decimals.", examples=[12.5])

    @property
    def basis_points(self) -> int:
        """As the table has it."""
        return round(self.canary * (WEIGHT_SCALE // 100))


class Weight(Model):
    """A weight that every worker follows."""

    route: str
    canary: float
    stable: float
    generation: int
    source: Literal["file", "api", "rollout"]


class Endpoint(Model):
    """Where requests go. `ejected`: left alone for a while after failures."""

    endpoint: str
    name: str
    state: Literal["healthy", "unhealthy", "ejected", "unknown"]


class Endpoints(Model):
    """Of both versions."""

    stable: list[Endpoint]
    canary: list[Endpoint]


VALUE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^([^\u0000-\u0020\u007f]([^\u0000-\u0008\u000a-\u001f\u007f]*[^\u0000-\u0020\u007f])?)?$",
    "description": "Text without white space around it.",
}
PATH: dict[str, Any] = {"type": "string", "pattern": "^/$|^(/[a-z0-9_-]{1,20}){1,8}$"}


def _one_of(kinds: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Mappings of one key each."""
    return [
        {"type": "object", "properties": {kind: value}, "required": [kind], "additionalProperties": False}
        for kind, value in kinds.items()
    ]


SEVERAL: dict[str, Any] = {"type": "array", "minItems": 1, "items": VALUE}
MATCHER: dict[str, Any] = {
    "oneOf": [
        VALUE,
        *_one_of({"exact": VALUE, "prefix": VALUE, "present": {"type": "boolean"}, "in": SEVERAL}),
    ]
}
BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
NETWORK: dict[str, Any] = {
    "type": "string",
    "pattern": rf"^({BYTE}\.){{3}}{BYTE}(/32)?$|^{BYTE}\.0\.0\.0/8$|^({BYTE}\.){{2}}0\.0/16$|^({BYTE}\.){{3}}0/24$"
    "|^[1-9a-f][0-9a-f]{0,3}(:[1-9a-f][0-9a-f]{0,3}){7}(/128)?$|^[1-9a-f][0-9a-f]{0,3}:[1-9a-f][0-9a-f]{0,3}::/32$",
    "description": "An address or a network (CIDR). Other lengths of prefix are taken, too.",
}


def _matchers(words: str, name: str, *but: str) -> dict[str, Any]:
    names: dict[str, Any] = {"pattern": name}
    if but:
        names["not"] = {"enum": list(but)}
    return {"type": "object", "description": words, "additionalProperties": MATCHER, "propertyNames": names}


HEADER_NAME = "^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$"
COOKIE_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
PARAMETER_NAME = r"^[^\u0000-\u0008\u000a-\u001f\u007f]+$"
UNMATCHED_NAMES = sorted(name.decode("ascii") for name in UNMATCHED)

RULE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An exception, as in the config. All its conditions must hold. Wherever a value is compared, "
    "`{regex: ...}` is taken, too: RE2 syntax, which no JSON Schema can describe, and so this one leaves it out.",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"},
        "headers": _matchers(
            "By name, in any case; those that are not passed on cannot be matched.", HEADER_NAME, "cookie",
            *UNMATCHED_NAMES,
        ),
        "cookies": _matchers("By name.", COOKIE_NAME),
        "query": _matchers("Parameters by name.", PARAMETER_NAME),
        "methods": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": "^[A-Z]{1,20}$", "not": {"enum": ["CONNECT", "TRACE"]}},
        },
        "path": {"oneOf": [{"type": "null"}, PATH, *_one_of({"exact": PATH, "prefix": PATH})]},
        "sources": {"type": "array", "minItems": 1, "items": NETWORK},
        "to": {"type": "string", "enum": ["stable", "canary"]},
        "percent": {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01, "default": 100},
        "preview": {"type": ["boolean", "null"], "default": False},
        "analyse": {"type": ["boolean", "null"], "default": False},
    },
    "required": ["name", "to"],
    "additionalProperties": False,
    "example": {"name": "testers", "headers": {"x-internal-tester": "true"}, "to": "canary"},
}  # fmt: skip

Rule = dict[str, Any]


class Route(Model):
    """All that is known of a route. Weights in percent."""

    route: str
    generation: int
    hosts: list[str]
    paths: list[str]
    affinity: str
    weight: float = Field(description="Share configured for the canary.")
    source: Literal["file", "api", "rollout"] = Field(description="Who said so.")
    observed_weight: float | None = Field(description="Share measured over the last minute, null without requests.")
    phase: Literal["idle"]
    reason: str | None = Field(description="Why the canary is off, where it was latched.")
    step: int | None
    verdict: str | None
    rules: list[Rule]
    rules_source: Literal["file", "api"]
    endpoints: Endpoints


class Routes(Model):
    """Every route."""

    generation: int
    routes: list[Route]


class Rules(Model):
    """The rules of a route, in order."""

    rules: list[Rule]
    source: Literal["file", "api"]


class RulesChanged(Rules):
    """The rules that every worker follows."""

    route: str
    generation: int


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
    users: int | None
    goals: dict[str, float]


class VersionsStats(Model):
    """Both versions."""

    stable: VersionStats
    canary: VersionStats


class Stats(Model):
    """The last `window` seconds."""

    route: str
    window: float
    versions: VersionsStats


class Entry(Model):
    """Something that was done."""

    at: str
    actor: str
    role: str
    address: str
    action: str
    detail: str
    generation: int | None = Field(description="Of the table that served until then.")
    outcome: str


class History(Model):
    """The newest first."""

    route: str
    entries: list[Entry]


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None
