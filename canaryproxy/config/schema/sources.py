"""The sections of resource checks, and of external checks that query Prometheus or another service."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, model_validator

from canaryproxy.analysis.spec import ExternalSpec, ResourceSpec
from canaryproxy.analysis.usage import Per
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.outbound import OutboundConfig, UpstreamTlsConfig, check_https
from canaryproxy.config.schema.section import Section, ShownAs
from canaryproxy.config.types.quantity import duration, duration_text, ratio
from canaryproxy.config.types.readers import choice, matching

METRIC_EXPECTED = "expected the name of a metric, such as process_cpu_seconds_total"
POINTER_EXPECTED = "expected a JSON pointer (RFC 6901), such as /data/score"
MAX_QUERY_LENGTH = 10_000
MAX_NUMBER = 1e300
VERSION, ROUTE = "{{version}}", "{{route}}"


def service(value: object) -> str:
    """An http or https URL; it may contain placeholders for the version and the route."""
    expected = "expected a URL such as http://prometheus:9090"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidValueError(expected)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        valid = False
    if not valid:
        raise InvalidValueError(expected)
    if "@" in parts.netloc:
        hint = "give credentials as `token` or `token_file`, not in the URL"
        raise InvalidValueError(hint, found="a URL with credentials")
    return value


def query(value: object) -> str:
    """A PromQL query. Its syntax is checked by the server."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_QUERY_LENGTH:
        raise InvalidValueError("expected a query in PromQL")
    return value


def number(value: object) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MAX_NUMBER:
        raise InvalidValueError("expected a number")
    return float(value)


Metric = Annotated[str, PlainValidator(matching(r"[a-zA-Z_:][a-zA-Z0-9_:]*", METRIC_EXPECTED))]
PerWord = Annotated[Per, PlainValidator(choice(Per)), ShownAs(str)]
Service = Annotated[str, PlainValidator(service)]
Query = Annotated[str, PlainValidator(query)]
Pointer = Annotated[
    str, PlainValidator(matching(r"(?s)(?:/(?:[^~]|~[01])*)?", POINTER_EXPECTED)), ShownAs(lambda value: value or '""')
]
Number = Annotated[float, PlainValidator(number)]
QueryTimeout = Annotated[float, PlainValidator(duration(0.1, 60)), ShownAs(duration_text)]


class ResourceConfig(Section):
    """A resource metric, compared per request. Each endpoint exposes it in the format of Prometheus."""

    name: leaves.RuleName = Field(description="Name of the check, unique in the route.", examples=["cpu"])
    scrape: leaves.Target = Field(
        default="/metrics",
        description="Path at which each endpoint exposes its metrics.",
        examples=["/stats/prometheus"],
    )
    port: leaves.Port | None = Field(
        default=None, description="Port of the metrics. Default: the port of the endpoint.", examples=["9102"]
    )
    headers: leaves.OutboundHeaders = Field(default={})
    tls: UpstreamTlsConfig | None = Field(
        default=None,
        description="TLS settings for `port`, as in `routes.<name>.stable.tls`; left out, `port` is scraped without "
        "TLS. Without `port` an endpoint is scraped the way requests are sent to it.",
    )
    counter: Metric | None = Field(
        default=None, description="Name of the metric, if it is a counter.", examples=["process_cpu_seconds_total"]
    )
    gauge: Metric | None = Field(
        default=None, description="Name of the metric, if it is a gauge.", examples=["process_resident_memory_bytes"]
    )
    per: PerWord = Field(
        default="request",
        description="The usage that is compared: per `request`, or for a gauge also per `endpoint`.",
        examples=["endpoint"],
    )
    tolerance: leaves.Percent = Field(
        default=1000, description="How much more than stable the canary may use, in percent.", examples=["20%"]
    )
    block: leaves.Period = Field(
        default=300.0,
        description="Length of one measurement. Choose it longer than the noise of the metric is correlated. A "
        "comparison needs five measurements.",
        examples=["1m"],
    )
    on_failure: leaves.OnFailure = "hold"
    dry_run: leaves.DryRun = False

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if (self.counter is None) == (self.gauge is None):
            found = "neither `counter` nor `gauge`" if self.counter is None else "both `counter` and `gauge`"
            raise InvalidValueError("give one of them, such as counter: process_cpu_seconds_total", found=found)
        if self.counter is not None and self.per == "endpoint":
            raise InvalidValueError("`per: endpoint` needs a gauge", found="`per: endpoint` beside `counter`")
        if self.tls is not None and self.port is None:
            raise InvalidValueError("give the `port` that uses TLS, or remove `tls`", found="`tls` without `port`")
        return self

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def spec(self) -> ResourceSpec:
        """The specification for the judge."""
        return ResourceSpec(self.name, ratio(self.tolerance), self.block, self.on_failure, dry_run=self.dry_run)


class CheckConfig(OutboundConfig):
    """A metric of an external source, compared with fixed limits. If the source does not answer, the check is
    inconclusive: the canary neither advances nor is rolled back.
    """

    name: leaves.RuleName = Field(description="Name of the check, unique in the route.", examples=["saturation"])
    prometheus: Service | None = Field(
        default=None,
        repr=False,
        description="URL of a Prometheus server to query.",
        examples=["http://prometheus:9090"],
    )
    query: Query | None = Field(
        default=None,
        description=f"PromQL query for `prometheus`, in which `{VERSION}` and `{ROUTE}` are replaced. The result has "
        f"to be a single number.",
        examples=["'max(cpu_saturation{version=\"{{version}}\"})'"],
    )
    url: Service | None = Field(
        default=None,
        repr=False,
        description=f"URL of a service that answers GET with JSON, in which `{VERSION}` and `{ROUTE}` are replaced. "
        f"Use it instead of `prometheus`.",
        examples=["'http://quality/score?of={{version}}'"],
    )
    field: Pointer = Field(
        default="",
        description="JSON pointer (RFC 6901) to the number in the response of `url`. True is 1, false is 0.",
        examples=["/data/score"],
    )
    max: Number | None = Field(default=None, description="Maximum value of the canary.", examples=["0.8"])
    min: Number | None = Field(default=None, description="Minimum value of the canary.", examples=["0.95"])
    max_ratio_to_stable: leaves.Multiple = Field(
        default=None, description="Maximum value of the canary, as a multiple of the value of stable.", examples=["1.5"]
    )
    interval: leaves.Period = Field(default=15.0, description="Time between two queries.", examples=["1m"])
    timeout: QueryTimeout = Field(default=5.0, description="Longest time for one query.", examples=["2s"])
    failures: leaves.Count = Field(
        default=3, description="Consecutive results beyond a limit that make the check fail.", examples=["5"]
    )
    on_failure: leaves.OnFailure = "rollback"
    dry_run: leaves.DryRun = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.prometheus is None) == (self.url is None):
            found = "neither `prometheus` nor `url`" if self.url is None else "both `prometheus` and `url`"
            raise InvalidValueError("give one of them, such as prometheus: http://prometheus:9090", found=found)
        if (self.prometheus is None) != (self.query is None):
            found = "`query` without `prometheus`" if self.prometheus is None else "`prometheus` without `query`"
            raise InvalidValueError("give both `prometheus` and `query`", found=found)
        if self.field and self.prometheus is not None:
            raise InvalidValueError("`field` is for the JSON of `url`", found="`field` beside `prometheus`")
        if self.max is None and self.min is None and self.max_ratio_to_stable is None:
            raise InvalidValueError("give a limit: `max`, `min` or `max_ratio_to_stable`", found="no limit")
        if self.max_ratio_to_stable is not None and not self.by_version:
            hint = f"use {VERSION} in the query or the URL"
            raise InvalidValueError(hint, found="`max_ratio_to_stable` and one value for both versions")
        check_https(self.tls, self.prometheus or self.url)
        return self

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def by_version(self) -> bool:
        """Whether each version has a value of its own."""
        return VERSION in (self.query or "") or VERSION in (self.url or "")

    @property
    def spec(self) -> ExternalSpec:
        """The specification for the judge."""
        limits = (self.max, self.min, self.max_ratio_to_stable)
        return ExternalSpec(self.name, *limits, self.failures, self.on_failure, dry_run=self.dry_run)
