"""What the API shows of endpoints, their health checks, and of services that give no good answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from canaryproxy.probes import failing_dependencies, health


class Model(BaseModel):
    """Strict, and nothing extra."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class HealthCheckDocument(Model):
    """What the health checks of an endpoint found last. Times as seconds since 1970."""

    passed: bool = Field(description="Whether the last one passed. The endpoint may still be of the other side.")
    reason: str | None = Field(description="Why it failed, null where it passed.")
    kind: (
        Literal[
            "status",
            "timeout",
            "refused",
            "reset",
            "closed",
            "unreachable",
            "dns",
            "tls",
            "not_http",
            "too_much",
            "other",
        ]
        | None
    ) = Field(description="The same in a word; `status`: the answer is not an accepted one, `closed`: it broke off.")
    since: float = Field(description="The first of those in a row that ended alike.")
    consecutive: int = Field(description="How many in a row ended alike.")
    at: float = Field(description="The last one.")


class EndpointDocument(Model):
    """Where requests go. `ejected`: ejected after failures."""

    endpoint: str
    name: str
    state: Literal["healthy", "unhealthy", "ejected", "unknown"]
    check: HealthCheckDocument | None = Field(
        default=None, description="What its health checks found last; null without any, and before the first."
    )


class EndpointsDocument(Model):
    """Of both versions."""

    stable: list[EndpointDocument]
    canary: list[EndpointDocument]


class FailingDocument(Model):
    """A source of numbers that does not answer, a webhook that does not agree, a name that cannot be resolved. Times as
    seconds since 1970.
    """

    what: Literal["check", "resource", "hook", "notify", "name"]
    name: str
    reason: str
    since: float
    consecutive: int
    at: float


def checked(finding: health.HealthFinding | None) -> HealthCheckDocument | None:
    """What the checks of an endpoint found last."""
    if finding is None:
        return None
    reason = finding.reason
    return HealthCheckDocument.model_construct(
        passed=finding.passed,
        reason=None if reason is None else reason.words,
        kind=None if reason is None else reason.kind,
        since=finding.since,
        consecutive=finding.row,
        at=finding.at,
    )


def failing(one: failing_dependencies.FailingDependency) -> FailingDocument:
    """One that fails."""
    return FailingDocument(
        what=one.what, name=one.name, reason=one.reason, since=one.since, consecutive=one.row, at=one.at
    )
