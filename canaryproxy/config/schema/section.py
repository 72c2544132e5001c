"""What every section of the config is made of: a strict mapping, and leaves that are read by pure functions.

Every leaf is read by a function of `quantity`, `address`, `match` and their like that raises `InvalidValueError`;
pydantic walks the tree and gathers what they raise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator

from canaryproxy.config.types.address import Address, Origin, listen_address, network, origin, server_name
from canaryproxy.config.types.affinity import affinity, affinity_text
from canaryproxy.config.types.certificate import PemFile, pem_file
from canaryproxy.config.types.match import host_pattern, path_prefix, route_name, target
from canaryproxy.config.types.quantity import (
    count,
    count_or_none,
    count_text,
    duration,
    duration_or_never,
    duration_text,
    is_off,
    log_format,
    log_level,
    log_path,
    percent,
    percent_text,
    size,
    size_or_auto,
    size_or_none,
    size_text,
    size_text_or_auto,
    size_text_or_none,
    socket_path,
    state_path,
    switch,
    worker_count,
    workers_text,
)
from canaryproxy.config.types.rule import (
    MAX_AGE_SECONDS,
    MatchSpec,
    cookie_name,
    fallback,
    fallback_text,
    forwarded_family,
    forwarded_name,
    header_name,
    matcher,
    method,
    parameter_name,
    path_matcher,
    rule_name,
    upgrades,
    version_name,
)
from canaryproxy.config.types.secret import Token, no_auth, role, token, token_file
from canaryproxy.config.types.version import version_text
from canaryproxy.model.forwarded import Family
from canaryproxy.model.settings import Network
from canaryproxy.model.table import Affinity, VersionName

_HOUR = 3600
_DAY = 24 * _HOUR
_KIB = 1024


@dataclass(frozen=True, slots=True)
class ShownAs:
    """How a value of this kind is written in a config, for the reference."""

    text: Callable[..., str]


ShortDuration = Annotated[float, PlainValidator(duration(0.001, 600)), ShownAs(duration_text)]
Duration = Annotated[float, PlainValidator(duration(0.001, _DAY)), ShownAs(duration_text)]
LongDuration = Annotated[float, PlainValidator(duration(0, _DAY)), ShownAs(duration_text)]
LongDurationOrNever = Annotated[float | None, PlainValidator(duration_or_never(0, _DAY)), ShownAs(duration_text)]
Count = Annotated[int, PlainValidator(count(1, 1_000_000)), ShownAs(str)]
CountOrNone = Annotated[int | None, PlainValidator(count_or_none(1, 1_000_000)), ShownAs(count_text)]
FieldCount = Annotated[int, PlainValidator(count(1, 10_000)), ShownAs(str)]
CopySize = Annotated[int, PlainValidator(size(0, _KIB**2)), ShownAs(size_text)]
HeadSize = Annotated[int, PlainValidator(size(_KIB, 16 * _KIB**2)), ShownAs(size_text)]
TargetSize = Annotated[int, PlainValidator(size(64, _KIB**2)), ShownAs(size_text)]
BodySize = Annotated[int | None, PlainValidator(size_or_none(1, 2**40)), ShownAs(size_text_or_none)]
BufferSize = Annotated[int | None, PlainValidator(size_or_auto(_KIB**2, 2**40)), ShownAs(size_text_or_auto)]
Percent = Annotated[int, PlainValidator(percent), ShownAs(percent_text)]
Switch = Annotated[bool, PlainValidator(switch), ShownAs(lambda value: str(value).lower())]
Url = Annotated[Origin, PlainValidator(origin)]
Listen = Annotated[Address, PlainValidator(listen_address), ShownAs(str)]
Trusted = Annotated[Network, PlainValidator(network)]
HostPattern = Annotated[str, PlainValidator(host_pattern)]
PathPrefix = Annotated[str, PlainValidator(path_prefix)]
RouteName = Annotated[str, PlainValidator(route_name)]
RuleName = Annotated[str, PlainValidator(rule_name)]
ForwardedFamily = Annotated[Family, PlainValidator(forwarded_family), ShownAs(str)]
ForwardedName = Annotated[str, PlainValidator(forwarded_name)]
HeaderName = Annotated[str, PlainValidator(header_name)]
CookieName = Annotated[str, PlainValidator(cookie_name)]
ParameterName = Annotated[str, PlainValidator(parameter_name)]
Match = Annotated[MatchSpec, PlainValidator(matcher)]
PathMatch = Annotated[MatchSpec, PlainValidator(path_matcher)]
Method = Annotated[str, PlainValidator(method)]
VersionTo = Annotated[VersionName, PlainValidator(version_name)]
AffinityRule = Annotated[
    Affinity | None, PlainValidator(affinity(duration(1, MAX_AGE_SECONDS))), ShownAs(affinity_text)
]
Fallback = Annotated[frozenset[VersionName], PlainValidator(fallback), ShownAs(fallback_text)]
Upgrades = Annotated[tuple[str, ...], PlainValidator(upgrades), ShownAs(lambda names: f"[{', '.join(names)}]")]
ServerName = Annotated[str, PlainValidator(server_name)]
Pem = Annotated[PemFile, PlainValidator(pem_file)]
VersionText = Annotated[str, PlainValidator(version_text)]
Target = Annotated[str, PlainValidator(target)]
LogPath = Annotated[str, PlainValidator(log_path), ShownAs(str)]
TokenName = Annotated[str, PlainValidator(rule_name)]
TokenText = Annotated[Token, PlainValidator(token)]
TokenFile = Annotated[Token, PlainValidator(token_file)]
AdminRole = Annotated[Literal["read", "write"], PlainValidator(role), ShownAs(str)]
AdminHost = Annotated[str, PlainValidator(server_name)]
NoAuth = Annotated[
    bool, PlainValidator(no_auth), ShownAs(lambda value: "none" if value else "tokens, or loopback alone")
]
BucketBound = Annotated[float, PlainValidator(duration(0.0001, _HOUR)), ShownAs(duration_text)]
WorkerCount = Annotated[int | None, PlainValidator(worker_count), ShownAs(workers_text)]
StatePath = Annotated[str, PlainValidator(state_path), ShownAs(str)]
SocketPath = Annotated[str | None, PlainValidator(socket_path), ShownAs(lambda path: path or "none")]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], PlainValidator(log_level), ShownAs(str)]
LogFormat = Annotated[Literal["json", "text"], PlainValidator(log_format), ShownAs(str)]


def none_if_off(value: object) -> object:
    """`off` and its like in place of a section that may be left out."""
    return None if is_off(value) else value


class Section(BaseModel):
    """A mapping of the config."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def as_written(section: Section) -> dict[str, object]:
    """The mapping that reads as this section, without what has its default; files by their paths."""
    values = {key: (getattr(section, key), field) for key, field in type(section).model_fields.items()}
    return {
        key: _written(value, [one.text for one in field.metadata if isinstance(one, ShownAs)])
        for key, (value, field) in values.items()
        if value != field.default
    }


def _written(value: object, texts: list[Callable[..., str]]) -> object:
    """Whole numbers, texts and switches as they are; everything else as the reference shows it."""
    if isinstance(value, Section):
        return as_written(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {key: _written(one, texts) for key, one in value.items()}
    if type(value) is tuple and not texts:
        return [_written(one, texts) for one in value]
    text = texts[0](value) if texts else str(value)
    return text[1:-1].split(", ") if text.startswith("[") else text
