"""The part of the schema for what others know of the versions: their own metrics, Prometheus, any HTTP service."""

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.analysis.spec import ExternalSpec, ResourceSpec
from canaryproxy.analysis.usage import Per
from canaryproxy.config.judged import OnHarm, Times, ratio
from canaryproxy.config.outbound import Headers, UpstreamTlsConfig, check_one_credential, check_secure, files_of
from canaryproxy.config.problem import Wrong
from canaryproxy.config.quantity import duration, duration_text
from canaryproxy.config.section import (
    Count,
    Percent,
    RuleName,
    Section,
    Shown,
    Switch,
    Target,
    TokenFile,
    TokenText,
)

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LONGEST_QUERY = 10_000
VERSION, ROUTE = "{{version}}", "{{route}}"
MOST_NUMBER = 1e300

DRY_RUN = "Say what would follow, and let nothing follow."


def metric(value: object) -> str:
    """The name of a metric."""
    if not isinstance(value, str) or not METRIC.match(value):
        raise Wrong("expected the name of a metric, such as process_cpu_seconds_total")
    return value


def per(value: object) -> Per:
    """What a use is divided by."""
    if value == "request":
        return "request"
    if value == "endpoint":
        return "endpoint"
    raise Wrong("expected request or endpoint")


def port(value: object) -> int:
    """A TCP port."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise Wrong("expected a port from 1 to 65535")
    return value


def service(value: object) -> str:
    """An http or https URL; it may name the version and the route."""
    expected = "expected a URL such as http://prometheus:9090"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise Wrong(expected)
    try:
        parts = urlsplit(value)
        fit = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        fit = False
    if not fit:
        raise Wrong(expected)
    if "@" in parts.netloc:
        raise Wrong("give credentials as `token` or `token_file`, not in the URL", found="a URL with credentials")
    return value


def query(value: object) -> str:
    """PromQL: the server knows whether it is right."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_QUERY:
        raise Wrong("expected a query in PromQL")
    return value


def pointer(value: object) -> str:
    """A JSON pointer (RFC 6901)."""
    if not isinstance(value, str) or (value and not value.startswith("/")) or re.search(r"~(?![01])", value):
        raise Wrong("expected a JSON pointer (RFC 6901), such as /data/score")
    return value


def number(value: object) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MOST_NUMBER:
        raise Wrong("expected a number")
    return float(value)


Metric = Annotated[str, PlainValidator(metric)]
PerWhat = Annotated[Per, PlainValidator(per), Shown(str)]
Port = Annotated[int, PlainValidator(port)]
Service = Annotated[str, PlainValidator(service)]
Query = Annotated[str, PlainValidator(query)]
Pointer = Annotated[str, PlainValidator(pointer), Shown(lambda value: value or '""')]
Number = Annotated[float, PlainValidator(number)]
Block = Annotated[float, PlainValidator(duration(1, 3600)), Shown(duration_text)]
Every = Annotated[float, PlainValidator(duration(1, 3600)), Shown(duration_text)]
Patience = Annotated[float, PlainValidator(duration(0.1, 60)), Shown(duration_text)]


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
    on_harm: OnHarm = Field(default="hold", description="What follows: `hold` or `rollback`.", examples=["rollback"])
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if (self.counter is None) == (self.gauge is None):
            found = "neither `counter` nor `gauge`" if self.counter is None else "both `counter` and `gauge`"
            raise Wrong("give one of them, such as counter: process_cpu_seconds_total", found=found)
        if self.counter is not None and self.per == "endpoint":
            raise Wrong("`per: endpoint` is for a gauge", found="`per: endpoint` beside `counter`")
        if self.tls is not None and self.port is None:
            raise Wrong("give the `port` that it is for, or remove it", found="`tls` without `port`")
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
        return ResourceSpec(self.name, ratio(self.tolerance), self.block, self.on_harm, dry_run=self.dry_run)


class CheckConfig(Section):
    """A number that somebody else knows, held against fixed bounds. Whoever does not answer makes it unknown: the
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
    vs_stable: Times = Field(default=None, description="At most so many times stable's.", examples=["1.5"])
    interval: Every = Field(default=15.0, description="How often to ask.", examples=["1m"])
    timeout: Patience = Field(default=5.0, description="How long to wait.", examples=["2s"])
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
    on_harm: OnHarm = Field(default="rollback", description="What follows: `hold` or `rollback`.", examples=["hold"])
    dry_run: Switch = Field(default=False, description=DRY_RUN, examples=["true"])

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.prometheus is None) == (self.url is None):
            found = "neither `prometheus` nor `url`" if self.url is None else "both `prometheus` and `url`"
            raise Wrong("give one of them, such as prometheus: http://prometheus:9090", found=found)
        if (self.prometheus is None) != (self.query is None):
            found = "`query` without `prometheus`" if self.prometheus is None else "`prometheus` without `query`"
            raise Wrong("a query is for Prometheus, and Prometheus needs one", found=found)
        if self.field and self.prometheus is not None:
            raise Wrong("`field` is for the JSON of `url`", found="`field` beside `prometheus`")
        if self.max is None and self.min is None and self.vs_stable is None:
            raise Wrong("give a bound: `max`, `min` or `vs_stable`", found="no bound")
        if self.vs_stable is not None and not self.by_version:
            raise Wrong("name the version in the query or the URL", found="`vs_stable` and one value for both versions")
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
            self.name, self.max, self.min, self.vs_stable, self.failures, self.on_harm, dry_run=self.dry_run
        )
