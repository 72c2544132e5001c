"""The part of the schema for what others know of the versions: their own metrics, Prometheus, any HTTP service."""

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.analysis.spec import ExternalSpec, ResourceSpec
from canaryproxy.analysis.usage import Per
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.judged_keys import OnFailure, Times, ratio
from canaryproxy.config.schema.outbound import Headers, UpstreamTlsConfig, check_one_credential, check_secure, files_of
from canaryproxy.config.schema.section import (
    Count,
    Percent,
    RuleName,
    Section,
    ShownAs,
    Switch,
    Target,
    TokenFile,
    TokenText,
)
from canaryproxy.config.types.quantity import duration, duration_text

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
MAX_QUERY_LENGTH = 10_000
VERSION, ROUTE = "{{version}}", "{{route}}"
MAX_NUMBER = 1e300

DRY_RUN = "Say what would follow, and let nothing follow."


def metric(value: object) -> str:
    """The name of a metric."""
    if not isinstance(value, str) or not METRIC.match(value):
        raise InvalidValueError("expected the name of a metric, such as process_cpu_seconds_total")
    return value


def per(value: object) -> Per:
    """What a use is divided by."""
    if value == "request":
        return "request"
    if value == "endpoint":
        return "endpoint"
    raise InvalidValueError("expected request or endpoint")


def port(value: object) -> int:
    """A TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise InvalidValueError("expected a port from 1 to 65535")
    return value


def service(value: object) -> str:
    """An http or https URL; it may name the version and the route."""
    expected = "expected a URL such as http://prometheus:9090"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidValueError(expected)
    try:
        parts = urlsplit(value)
        fit = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        fit = False
    if not fit:
        raise InvalidValueError(expected)
    if "@" in parts.netloc:
        raise InvalidValueError(
            "give credentials as `token` or `token_file`, not in the URL", found="a URL with credentials"
        )
    return value


def query(value: object) -> str:
    """PromQL: the server knows whether it is right."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_QUERY_LENGTH:
        raise InvalidValueError("expected a query in PromQL")
    return value


def pointer(value: object) -> str:
    """A JSON pointer (RFC 6901)."""
    if not isinstance(value, str) or (value and not value.startswith("/")) or re.search(r"~(?![01])", value):
        raise InvalidValueError("expected a JSON pointer (RFC 6901), such as /data/score")
    return value


def number(value: object) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MAX_NUMBER:
        raise InvalidValueError("expected a number")
    return float(value)


Metric = Annotated[str, PlainValidator(metric)]
PerWhat = Annotated[Per, PlainValidator(per), ShownAs(str)]
Port = Annotated[int, PlainValidator(port)]
Service = Annotated[str, PlainValidator(service)]
Query = Annotated[str, PlainValidator(query)]
Pointer = Annotated[str, PlainValidator(pointer), ShownAs(lambda value: value or '""')]
Number = Annotated[float, PlainValidator(number)]
Block = Annotated[float, PlainValidator(duration(1, 3600)), ShownAs(duration_text)]
Every = Annotated[float, PlainValidator(duration(1, 3600)), ShownAs(duration_text)]
AskTimeout = Annotated[float, PlainValidator(duration(0.1, 60)), ShownAs(duration_text)]


class ResourceConfig(Section):
    """Something that the versions use, compared per request: by what each of their endpoints tells of itself, in the
    format of Prometheus.
    """

    name: RuleName = Field(description="What it is called.", examples=["cpu"])
    scrape: Target = Field(
        default="/metrics", description="Where each endpoint tells of itself.", examples=["/stats/prometheus"]
    )
    port: Port | None = Field(default=None, description="At another port than the one it serves at.", examples=["9102"])
    headers: Headers = Field(
        default={},
        description="Headers to send, as those of `routes.<name>.stable.health`.",
        examples=["{x-scope-orgid: shop}"],
    )
    tls: UpstreamTlsConfig | None = Field(
        default=None,
        description="Speak TLS to that `port`, as `routes.<name>.stable.tls` says; else it is asked without. Without a "
        "`port` an endpoint is asked as requests are.",
    )
    counter: Metric | None = Field(
        default=None, description="The metric, one that only grows.", examples=["process_cpu_seconds_total"]
    )
    gauge: Metric | None = Field(
        default=None, description="Or one that goes up and down.", examples=["process_resident_memory_bytes"]
    )
    per: PerWhat = Field(
        default="request",
        description="What is compared: use per `request`, or, of a gauge, per `endpoint`.",
        examples=["endpoint"],
    )
    tolerance: Percent = Field(default=1000, description="How much more the canary may use.", examples=["20%"])
    block: Block = Field(
        default=300.0,
        description="How long is measured before it is compared; longer than the noise remembers. Five are needed.",
        examples=["1m"],
    )
    on_failure: OnFailure = Field(
        default="hold", description="What follows: `hold` or `rollback`.", examples=["rollback"]
    )
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if (self.counter is None) == (self.gauge is None):
            found = "neither `counter` nor `gauge`" if self.counter is None else "both `counter` and `gauge`"
            raise InvalidValueError("give one of them, such as counter: process_cpu_seconds_total", found=found)
        if self.counter is not None and self.per == "endpoint":
            raise InvalidValueError("`per: endpoint` is for a gauge", found="`per: endpoint` beside `counter`")
        if self.tls is not None and self.port is None:
            raise InvalidValueError("give the `port` that it is for, or remove it", found="`tls` without `port`")
        return self

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return files_of(self.headers, self.tls)

    @property
    def spec(self) -> ResourceSpec:
        """As the judge has it."""
        return ResourceSpec(self.name, ratio(self.tolerance), self.block, self.on_failure, dry_run=self.dry_run)


class CheckConfig(Section):
    """A metric of an external source, compared with fixed limits. A source that does not answer makes it unknown: the
    canary goes no further then, and is not taken back.
    """

    name: RuleName = Field(description="What it is called.", examples=["saturation"])
    prometheus: Service | None = Field(
        default=None, repr=False, description="A Prometheus to ask, by its URL.", examples=["http://prometheus:9090"]
    )
    query: Query | None = Field(
        default=None,
        description=f"What it is asked, with `{VERSION}` and `{ROUTE}` filled in. One number has to come of it.",
        examples=["'max(cpu_saturation{version=\"{{version}}\"})'"],
    )
    url: Service | None = Field(
        default=None,
        repr=False,
        description=f"Or a service that answers in JSON, asked by GET, with `{VERSION}` and `{ROUTE}` filled in.",
        examples=["'http://quality/score?of={{version}}'"],
    )
    field: Pointer = Field(
        default="",
        description="Where the number stands in the JSON (RFC 6901). True is 1, false is 0.",
        examples=["/data/score"],
    )
    max: Number | None = Field(default=None, description="The canary's value at most.", examples=["0.8"])
    min: Number | None = Field(default=None, description="The canary's value at least.", examples=["0.95"])
    max_ratio_to_stable: Times = Field(default=None, description="At most so many times stable's.", examples=["1.5"])
    interval: Every = Field(default=15.0, description="How often to ask.", examples=["1m"])
    timeout: AskTimeout = Field(default=5.0, description="How long to wait.", examples=["2s"])
    failures: Count = Field(default=3, description="Answers in a row that must break a bound.", examples=["5"])
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
        default=None, description="A bearer token; better from the environment.", examples=['"${PROM_TOKEN}"']
    )
    token_file: TokenFile | None = Field(
        default=None, description="Or a file that holds it.", examples=["/run/secrets/prometheus"]
    )
    on_failure: OnFailure = Field(
        default="rollback", description="What follows: `hold` or `rollback`.", examples=["hold"]
    )
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.prometheus is None) == (self.url is None):
            found = "neither `prometheus` nor `url`" if self.url is None else "both `prometheus` and `url`"
            raise InvalidValueError("give one of them, such as prometheus: http://prometheus:9090", found=found)
        if (self.prometheus is None) != (self.query is None):
            found = "`query` without `prometheus`" if self.prometheus is None else "`prometheus` without `query`"
            raise InvalidValueError("a query is for Prometheus, and Prometheus needs one", found=found)
        if self.field and self.prometheus is not None:
            raise InvalidValueError("`field` is for the JSON of `url`", found="`field` beside `prometheus`")
        if self.max is None and self.min is None and self.max_ratio_to_stable is None:
            raise InvalidValueError("give a bound: `max`, `min` or `max_ratio_to_stable`", found="no bound")
        if self.max_ratio_to_stable is not None and not self.by_version:
            raise InvalidValueError(
                "name the version in the query or the URL",
                found="`max_ratio_to_stable` and one value for both versions",
            )
        check_one_credential(self.headers, self.token, self.token_file)
        check_secure(self.prometheus or self.url, self.tls)
        return self

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose contents are part of this."""
        return files_of(self.headers, self.tls, self.token_file)

    @property
    def by_version(self) -> bool:
        """Whether the versions have values of their own."""
        return VERSION in (self.query or "") or VERSION in (self.url or "")

    @property
    def secret(self) -> str:
        """The token, wherever it came from; empty for none."""
        found = self.token or self.token_file
        return "" if found is None else found.value

    @property
    def spec(self) -> ExternalSpec:
        """As the judge has it."""
        return ExternalSpec(
            self.name,
            self.max,
            self.min,
            self.max_ratio_to_stable,
            self.failures,
            self.on_failure,
            dry_run=self.dry_run,
        )
