"""The sections of webhooks of a rollout: hooks, which can be gates, and notifications."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.outbound import OutboundConfig, check_https
from canaryproxy.config.schema.section import ShownAs
from canaryproxy.config.schema.sources import Service
from canaryproxy.config.types.quantity import count, duration, duration_text
from canaryproxy.config.types.readers import choice

When = Literal["start", "raise", "promotion", "end", "rollback", "event"]

# Moments at which a hook has to agree before the rollout continues.
GATES: frozenset[When] = frozenset(("start", "raise", "promotion"))

MAX_METADATA = 50

Severity = Literal["info", "warning", "critical"]
NotificationStyle = Literal["json", "slack"]


def metadata(value: object) -> tuple[tuple[str, str], ...]:
    """Metadata for the service that is called, sorted by name."""
    expected = f"expected a mapping of at most {MAX_METADATA} names to texts"
    if not isinstance(value, dict) or len(value) > MAX_METADATA:
        raise InvalidValueError(expected)
    if not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise InvalidValueError(expected)
    if not all(re.fullmatch(r"[\w.-]{1,63}", key) for key in value):
        raise InvalidValueError(f"{expected}; a name has 1 to 63 letters, digits, _ . -")
    return tuple(sorted(value.items()))


def metadata_text(value: tuple[tuple[str, str], ...]) -> str:
    """The metadata as written in a config."""
    return f"{{{', '.join(f'{key}: {text}' for key, text in value)}}}"


WhenWord = Annotated[When, PlainValidator(choice(When)), ShownAs(str)]
SeverityWord = Annotated[Severity, PlainValidator(choice(Severity)), ShownAs(str)]
StyleWord = Annotated[NotificationStyle, PlainValidator(choice(NotificationStyle)), ShownAs(str)]
Metadata = Annotated[tuple[tuple[str, str], ...], PlainValidator(metadata), ShownAs(metadata_text)]
CallTimeout = Annotated[float, PlainValidator(duration(0.1, 600)), ShownAs(duration_text)]
Retries = Annotated[int, PlainValidator(count(0, 100)), ShownAs(str)]


class OutboundCallConfig(OutboundConfig):
    """A service that is called by POST."""

    url: Service = Field(
        description="URL that is called by POST with a JSON document. Path and query may be secrets: they are never "
        "shown.",
        examples=["http://approvals/shop"],
        repr=False,
    )
    timeout: CallTimeout = Field(default=10.0, description="Longest time to wait for the response.", examples=["30s"])
    retries: Retries = Field(default=2, description="Further attempts if there is no response.", examples=["5"])

    @model_validator(mode="after")
    def _https(self) -> Self:
        check_https(self.tls, self.url)
        return self


class HookConfig(OutboundCallConfig):
    """A webhook. At `start`, `raise` and `promotion` it is a gate: the rollout continues only after a 2xx response. At
    the other moments it is notified, and its response has no effect.
    """

    name: leaves.RuleName = Field(description="Name of the hook, unique in the rollout.", examples=["approval"])
    when: WhenWord = Field(
        description="`start`: before a rollout starts. `raise`: before each higher weight. `promotion`: before "
        "weight 100. `end`: after the rollout has succeeded. `rollback`: after the canary was rolled back. `event`: "
        "at every event.",
        examples=["promotion"],
    )
    metadata: Metadata = Field(
        default=(), description="Metadata that is sent to the service.", examples=["{team: shop}"]
    )


class NotifyConfig(OutboundCallConfig):
    """A service that receives every event of a rollout."""

    min_severity: SeverityWord = Field(
        default="info",
        description="Minimum severity of an event that is sent: `info`, `warning` or `critical`.",
        examples=["warning"],
    )
    style: StyleWord = Field(
        default="json", description="`json`, or `slack` for the webhook of a chat.", examples=["slack"]
    )
