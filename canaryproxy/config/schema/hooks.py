"""The part of the schema for webhooks of rollouts: gates that have to agree, and hooks that are notified."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.outbound import Headers, UpstreamTlsConfig, check_one_credential, check_secure, files_of
from canaryproxy.config.schema.section import RuleName, Section, ShownAs, TokenFile, TokenText
from canaryproxy.config.schema.sources import Service
from canaryproxy.config.types.quantity import count, duration, duration_text

When = Literal["start", "raise", "promotion", "end", "rollback", "event"]
WHEN: dict[str, When] = {
    "start": "start",
    "raise": "raise",
    "promotion": "promotion",
    "end": "end",
    "rollback": "rollback",
    "event": "event",
}

GATES: frozenset[When] = frozenset(("start", "raise", "promotion"))
"""Those that have to agree before it goes on."""

MAX_METADATA = 50

Severity = Literal["info", "warning", "critical"]
SEVERITIES: dict[str, Severity] = {"info": "info", "warning": "warning", "critical": "critical"}


def when(value: object) -> When:
    """At which moment."""
    found = WHEN.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValueError(f"expected one of {', '.join(WHEN)}")
    return found


def severity(value: object) -> Severity:
    """The minimum severity of a notification."""
    found = SEVERITIES.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidValueError(f"expected one of {', '.join(SEVERITIES)}")
    return found


def style(value: object) -> Literal["json", "slack"]:
    """The format of a notification."""
    if value == "json":
        return "json"
    if value == "slack":
        return "slack"
    raise InvalidValueError("expected json or slack")


def metadata(value: object) -> tuple[tuple[str, str], ...]:
    """Metadata for the service that is called."""
    expected = f"expected up to {MAX_METADATA} texts by name"
    if not isinstance(value, dict) or len(value) > MAX_METADATA:
        raise InvalidValueError(expected)
    if not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise InvalidValueError(expected)
    if not all(re.fullmatch(r"[\w.-]{1,63}", key) for key in value):
        raise InvalidValueError(f"{expected}: letters, digits, _, . and -")
    return tuple(sorted(value.items()))


def metadata_text(value: tuple[tuple[str, str], ...]) -> str:
    """As it would be written."""
    return f"{{{', '.join(f'{key}: {text}' for key, text in value)}}}"


WhenWord = Annotated[When, PlainValidator(when), ShownAs(str)]
SeverityWord = Annotated[Severity, PlainValidator(severity), ShownAs(str)]
Style = Annotated[Literal["json", "slack"], PlainValidator(style), ShownAs(str)]
Metadata = Annotated[tuple[tuple[str, str], ...], PlainValidator(metadata), ShownAs(metadata_text)]
CallTimeout = Annotated[float, PlainValidator(duration(0.1, 600)), ShownAs(duration_text)]
Retries = Annotated[int, PlainValidator(count(0, 100)), ShownAs(str)]


class OutboundCallConfig(Section):
    """A service that is called."""

    url: Service = Field(
        description="Called by POST with a JSON document. Path and query may be secrets: they are never shown.",
        examples=["http://approvals/shop"],
        repr=False,
    )
    timeout: CallTimeout = Field(default=10.0, description="How long to wait for the answer.", examples=["30s"])
    retries: Retries = Field(default=2, description="How often to try again where none comes.", examples=["5"])
    headers: Headers = Field(
        default={},
        description="Headers to send, as those of `routes.<name>.stable.health`.",
        examples=["{x-scope-orgid: shop}"],
    )
    tls: UpstreamTlsConfig | None = Field(
        default=None,
        description="For `https://`: whom to trust and what to show, as in `routes.<name>.stable.tls`. Default: the "
        "system's authorities.",
    )
    token: TokenText | None = Field(
        default=None, description="A bearer token; better from the environment.", examples=['"${HOOK_TOKEN}"']
    )
    token_file: TokenFile | None = Field(
        default=None, description="Or a file that holds it.", examples=["/run/secrets/hook"]
    )

    @property
    def secret(self) -> str:
        """The token, wherever it came from; empty for none."""
        found = self.token or self.token_file
        return "" if found is None else found.value

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        check_one_credential(self.headers, self.token, self.token_file)
        check_secure(self.url, self.tls)
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return files_of(self.headers, self.tls, self.token_file)


class HookConfig(OutboundCallConfig):
    """A webhook. Those at `start`, `raise` and `promotion` are gates: nothing goes on until they answer 2xx. The others
    are notified, and their answer changes nothing.
    """

    name: RuleName = Field(description="What it is called.", examples=["approval"])
    when: WhenWord = Field(
        description="`start`: before a rollout begins; `raise`: before every higher weight; `promotion`: before 100; "
        "`end`: after it has succeeded; `rollback`: after it was taken back; `event`: whatever happens.",
        examples=["promotion"],
    )
    metadata: Metadata = Field(
        default=(), description="Metadata for the service that is called.", examples=["{team: shop}"]
    )


class NotifyConfig(OutboundCallConfig):
    """Receivers of every event of a rollout."""

    min_severity: SeverityWord = Field(
        default="info", description="`info`, `warning` or `critical`, and what is graver.", examples=["warning"]
    )
    style: Style = Field(default="json", description="`json`, or `slack` for a chat's webhook.", examples=["slack"])
