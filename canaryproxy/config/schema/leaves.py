"""The leaf types of the config: how each kind of value is read, and how it is written.

Types that several sections use for the same key have its description, too.
"""

from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from canaryproxy.analysis.spec import Action
from canaryproxy.config.schema.section import ShownAs
from canaryproxy.config.types import match, quantity, rule
from canaryproxy.config.types.address import Address, Origin, listen_address, network, origin, server_name
from canaryproxy.config.types.affinity import affinity, affinity_text
from canaryproxy.config.types.certificate import PemFile, pem_file
from canaryproxy.config.types.quantity import count, duration, duration_text, percent_text, size, size_text
from canaryproxy.config.types.readers import choice, file_path, is_off, optional, socket_path, switch
from canaryproxy.config.types.secret import HeaderValue, Token, header_value, no_auth, sent_header, token, token_file
from canaryproxy.model.forwarded import Family
from canaryproxy.model.settings import Network
from canaryproxy.model.table import Affinity, VersionName

HOUR = 3600
DAY = 24 * HOUR
_KIB = 1024

ShortDuration = Annotated[float, PlainValidator(duration(0.001, 600)), ShownAs(duration_text)]
Duration = Annotated[float, PlainValidator(duration(0.001, DAY)), ShownAs(duration_text)]
LongDuration = Annotated[float, PlainValidator(duration(0, DAY)), ShownAs(duration_text)]
LongDurationOrNever = Annotated[
    float | None, PlainValidator(optional(duration(0, DAY), "never")), ShownAs(duration_text, "never")
]
Period = Annotated[float, PlainValidator(duration(1, HOUR)), ShownAs(duration_text)]
BucketBound = Annotated[float, PlainValidator(duration(0.0001, HOUR)), ShownAs(duration_text)]
Count = Annotated[int, PlainValidator(count(1, 1_000_000)), ShownAs(str)]
CountOrNone = Annotated[int | None, PlainValidator(optional(count(1, 1_000_000))), ShownAs(str)]
FieldCount = Annotated[int, PlainValidator(count(1, 10_000)), ShownAs(str)]
WorkerCount = Annotated[int | None, PlainValidator(optional(count(1, 256), "auto")), ShownAs(str, "auto")]
Port = Annotated[int, PlainValidator(count(1, 65_535, "a port"))]
CopySize = Annotated[int, PlainValidator(size(0, _KIB**2)), ShownAs(size_text)]
HeadSize = Annotated[int, PlainValidator(size(_KIB, 16 * _KIB**2)), ShownAs(size_text)]
TargetSize = Annotated[int, PlainValidator(size(64, _KIB**2)), ShownAs(size_text)]
BodySize = Annotated[int | None, PlainValidator(optional(size(1, 2**40))), ShownAs(size_text)]
BufferSize = Annotated[int | None, PlainValidator(optional(size(_KIB**2, 2**40), "auto")), ShownAs(size_text, "auto")]
Percent = Annotated[int, PlainValidator(quantity.percent), ShownAs(percent_text)]
Multiple = Annotated[float | None, PlainValidator(optional(quantity.multiple)), ShownAs(lambda value: f"{value:g}")]
Switch = Annotated[bool, PlainValidator(switch), ShownAs(lambda value: str(value).lower())]

Url = Annotated[Origin, PlainValidator(origin)]
Listen = Annotated[Address, PlainValidator(listen_address), ShownAs(str)]
Trusted = Annotated[Network, PlainValidator(network)]
ServerName = Annotated[str, PlainValidator(server_name)]
HostPattern = Annotated[str, PlainValidator(match.host_pattern)]
PathPrefix = Annotated[str, PlainValidator(match.path_prefix)]
Target = Annotated[str, PlainValidator(match.target)]
RouteName = Annotated[str, PlainValidator(match.route_name)]
RuleName = Annotated[str, PlainValidator(match.rule_name)]
VersionText = Annotated[str, PlainValidator(match.version_text)]

HeaderName = Annotated[str, PlainValidator(rule.header_name)]
CookieName = Annotated[str, PlainValidator(rule.cookie_name)]
ParameterName = Annotated[str, PlainValidator(rule.parameter_name)]
Match = Annotated[rule.MatchSpec, PlainValidator(rule.matcher)]
PathMatch = Annotated[
    rule.MatchSpec | None,
    PlainValidator(rule.path_matcher),
    Field(
        description="Path of the request: a text (exact), or one of `exact`, `prefix` (by whole segments) and "
        "`regex` (RE2, matches the whole path). Paths are normalised before the comparison.",
        examples=["{prefix: /beta}"],
    ),
]
Method = Annotated[str, PlainValidator(rule.method)]
Statuses = Annotated[rule.StatusRanges, PlainValidator(rule.statuses), ShownAs(rule.statuses_text)]
VersionTo = Annotated[VersionName, PlainValidator(choice(VersionName))]
AffinityRule = Annotated[
    Affinity | None, PlainValidator(affinity(duration(1, rule.MAX_AGE_SECONDS))), ShownAs(affinity_text)
]
Fallback = Annotated[frozenset[VersionName], PlainValidator(rule.fallback), ShownAs(rule.fallback_text)]
Upgrades = Annotated[tuple[str, ...], PlainValidator(rule.upgrades), ShownAs(lambda names: f"[{', '.join(names)}]")]
ForwardedFamily = Annotated[Family, PlainValidator(choice(Family)), ShownAs(str)]
ForwardedName = Annotated[str, PlainValidator(rule.forwarded_name)]

StatePath = Annotated[str, PlainValidator(file_path("expected the path of a file, or memory")), ShownAs(str)]
LogPath = Annotated[
    str, PlainValidator(file_path("expected the path of a file, or - for standard output")), ShownAs(str)
]
SocketPath = Annotated[str | None, PlainValidator(optional(socket_path)), ShownAs(str)]
LogLevel = Literal["debug", "info", "warning", "error"]
LogLevelWord = Annotated[LogLevel, PlainValidator(choice(LogLevel)), ShownAs(str)]
LogFormat = Literal["json", "text"]
LogFormatWord = Annotated[LogFormat, PlainValidator(choice(LogFormat)), ShownAs(str)]
AdminRole = Literal["read", "write"]
AdminRoleWord = Annotated[AdminRole, PlainValidator(choice(AdminRole)), ShownAs(str)]
NoAuth = Annotated[
    bool, PlainValidator(no_auth), ShownAs(lambda value: "none" if value else "tokens, or only loopback")
]

Pem = Annotated[PemFile, PlainValidator(pem_file)]
TokenText = Annotated[Token, PlainValidator(token)]
TokenFile = Annotated[Token, PlainValidator(token_file)]
Headers = dict[Annotated[str, PlainValidator(sent_header)], Annotated[HeaderValue, PlainValidator(header_value)]]
OutboundHeaders = Annotated[
    Headers,
    Field(
        description="Headers to send, written as in `routes.<name>.stable.health.headers`.",
        examples=["{x-scope-orgid: shop}"],
    ),
]

OnFailure = Annotated[
    Action,
    PlainValidator(choice(Action)),
    ShownAs(str),
    Field(
        description="The reaction to a failed check: `hold` the weight, or `rollback` the canary.",
        examples=["rollback"],
    ),
]
DryRun = Annotated[Switch, Field(description="Report what would happen, and change nothing.", examples=["true"])]


def none_if_off(value: object) -> object:
    """None for `off` and `none` in place of a section that can be switched off."""
    return None if is_off(value) else value
