"""The sections of a route and of its versions."""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryproxy.analysis.spec import AnalysisSpec
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.analysis import AnalysisConfig, known_goals
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig, check_https
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.rules import GoalConfig, RuleConfig, RuleSet, goal_list, rule_list
from canaryproxy.config.schema.safety import MirrorConfig, ShieldConfig, defaults_if_true
from canaryproxy.config.schema.section import Section, as_written
from canaryproxy.config.types.address import Origin
from canaryproxy.config.types.affinity import cookie_scope_warnings
from canaryproxy.config.types.readers import non_empty_sequence
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import UPGRADES, Caching, Mirror, Version

VERSION = Version("stable", ())

VERSION_EXPECTED = "expected a URL such as http://localhost:9001, or a mapping with `url` and timeouts"


class VersionConfig(Section):
    """A version of the route. A URL is short for a mapping with only `url`."""

    url: leaves.Url | None = Field(
        default=None,
        description="`http://host[:port]` or `https://host[:port]`, port 80 or 443 unless given. It has no path: each "
        "request keeps its own. A name is resolved every few seconds, and each of its addresses is an endpoint.",
        examples=["http://shop-canary:8080"],
    )
    endpoints: Annotated[tuple[leaves.Url, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Several URLs instead of `url`, all with the same scheme.",
        examples=["[http://10.0.0.1:8080, http://10.0.0.2:8080]"],
    )
    connect_timeout: leaves.ShortDuration = Field(
        default=VERSION.connect_timeout,
        description="Longest time to open a connection. After it the request is answered 504.",
        examples=["500ms"],
    )
    response_timeout: leaves.Duration = Field(
        default=VERSION.response_timeout,
        description="Longest time until the head of the response, and after that between bytes of the response. "
        "After it the request is answered 504.",
        examples=["2m"],
    )
    keep_alive: leaves.Duration = Field(
        default=VERSION.keep_alive,
        description="How long an idle connection is kept for reuse. Choose less than the limit of the upstream.",
        examples=["55s"],
    )
    version: leaves.VersionText = Field(
        default="",
        description="Name of the version in responses, events and metrics, if its health check does not read it "
        "(`version_header`). A canary with another name is a new canary: its rollout starts over.",
        examples=["v42"],
    )
    health: Annotated[HealthConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=None, description="Active health checks. `none`: each endpoint counts as healthy. See below."
    )
    max_in_flight: leaves.CountOrNone = Field(
        default=None,
        description="Concurrent requests and tunnels, divided evenly among the workers and rounded up. A request "
        "beyond the limit is answered 503 and does not count as a failure of the version.",
        examples=["1000"],
    )
    tls: UpstreamTlsConfig | None = Field(
        default=None, description="TLS settings for `https://`. Default: the certificate authorities of the system."
    )

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The URLs of the version, as written."""
        return self.endpoints if self.url is None else (self.url,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.url is None) == (not self.endpoints):
            found = "neither `url` nor `endpoints`" if self.url is None else "both `url` and `endpoints`"
            raise InvalidValueError("give `url: http://...`, or `endpoints` with a list", found=found)
        schemes = {origin.scheme for origin in self.origins}
        if len(schemes) > 1:
            raise InvalidValueError("give all of them the same scheme", found="endpoints with http:// and https://")
        check_https(self.tls, f"{self.origins[0].scheme}:")
        if self.health is not None and self.health.scheme == "https" and schemes == {"http"}:
            hint = "write https:// in the URL, or remove `scheme`"
            raise InvalidValueError(hint, found="`health.scheme: https` beside a URL with http://")
        return self

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"url": value}
        if not isinstance(value, dict):
            raise InvalidValueError(VERSION_EXPECTED)
        return value


class HeadersConfig(Section):
    """Header fields that canaryproxy adds."""

    add_version: leaves.Switch = Field(
        default=False,
        description="Add `X-Canary-Version: stable` or `canary` to requests to the upstream and to responses.",
        examples=["true"],
    )
    shared_cookie: leaves.Switch = Field(
        default=False,
        description="Set the affinity cookie also on responses that a shared cache may store (`public`, `s-maxage`, "
        "`immutable`, `max-age` without `private`, `Expires`). A cache then either does not store them, or sends the "
        "cookie of one client to all.",
        examples=["true"],
    )
    shared_vary_cookie: leaves.Switch = Field(
        default=False,
        description="Add `Cookie` to `Vary` also on these responses, if a cookie decides on the version. A cache then "
        "stores one copy per client, and has hardly any hits.",
        examples=["true"],
    )

    @property
    def caching(self) -> Caching:
        """The caching settings for the routing table."""
        return Caching(self.shared_cookie, self.shared_vary_cookie)


class RouteConfig(Section):
    """Hosts and paths with a stable version and, optionally, a canary. Changes apply to the next request.

    In a route without a canary, a `weight` above 0 and a rule that reaches the canary are errors. The other settings of
    a canary (`affinity`, `mirror`, `shield`, `fallback`, `goals`, `analysis`, `rollout`) are allowed and apply as soon
    as there is one.
    """

    hosts: Annotated[tuple[leaves.HostPattern, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Hosts of the route, on every port: exact names, or `*.example.com` for all subdomains. The most "
        "specific host wins, before paths are compared. Case and a trailing dot are ignored. Default: any host that no "
        "other route names.",
        examples=['[shop.example.com, "*.shop.example.com"]'],
    )
    paths: Annotated[tuple[leaves.PathPrefix, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=("/",),
        description="Path prefixes by whole segments: `/api` matches `/api` and `/api/x`, but not `/apix`. The longest "
        "prefix wins. A trailing slash is ignored.",
        examples=["[/cart, /checkout]"],
    )
    stable: VersionConfig = Field(
        description="The version for all requests that are not sent to the canary.",
        examples=["http://shop-stable:8080"],
    )
    canary: Annotated[VersionConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=None,
        description="The version on trial. Left out, or `none`: all requests go to stable until a canary is added, in "
        "the file or over the API.",
        examples=["http://shop-canary:8080"],
    )
    weight: leaves.Percent = Field(
        0,
        description="Percentage of requests that are sent to the canary while no rollout runs: a number from 0 to 100 "
        "with at most two decimals, or a text such as `0.25%`.",
        examples=["5"],
    )
    rules: Annotated[tuple[RuleConfig, ...], BeforeValidator(rule_list)] = Field(
        default=(),
        description="Exceptions to the weight, in order: the first matching rule decides, before affinity and "
        "weight. See `routes.<name>.rules[]` below.",
        examples=['[{name: testers, headers: {x-internal-tester: "true"}, to: canary}]'],
    )
    affinity: leaves.AffinityRule = Field(
        default=None,
        description="How a client keeps its version as long as the weight allows: by a cookie with a random id "
        "(named `canaryproxy`), by a header that identifies users, or by the client address (`source`, or `{source: "
        "true}`). For a client without the header each request is assigned by weight. `cookie: NAME` can have "
        "`max_age` (default: the session of the browser), `same_site` (`lax`, `strict` or `none`; default `lax`), "
        "`domain` (default: only the host), `path` (default `/`), `secure` (`true`: always; default `false`: only "
        "over https) and `partitioned` (default `false`). All kinds can have `salt`, by default the name of the "
        "route. Routes with the same salt assign a client to the same bucket. A new salt reassigns all clients: "
        "change it only while the canary has no weight.",
        examples=["cookie"],
    )
    mirror: Annotated[MirrorConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=None,
        description="Sends copies of requests to stable also to the canary and drops its responses, to test it "
        "before it has users. An aborted canary gets no copies. See `routes.<name>.mirror` below.",
    )
    shield: Annotated[ShieldConfig | None, BeforeValidator(defaults_if_true)] = Field(
        default=None,
        description="Sends a request that failed on the canary to stable. `true` takes the defaults, `off` disables "
        "it. See `routes.<name>.shield` below.",
    )
    fallback: leaves.Fallback = Field(
        default=frozenset(("canary",)),
        description="Sends requests of the canary to stable while the canary has no healthy endpoint, or none accepts "
        "connections; they still count as failures of the canary. `both`: also the reverse, unless the canary is "
        "aborted. `false`: these requests are answered 503.",
        examples=["both"],
    )
    goals: Annotated[tuple[GoalConfig, ...], BeforeValidator(goal_list)] = Field(
        default=(),
        description="Business events, counted for the version that the request was assigned to: by request, by value "
        "and, with affinity, by user. See `routes.<name>.goals[]` below.",
        examples=["[{name: add_to_cart, method: POST, path: /cart}]"],
    )
    upgrades: leaves.Upgrades = Field(
        default=UPGRADES,
        description="Protocols that a client may upgrade its connection to; its bytes are then relayed unchanged. A "
        "name with a version (`SPDY/3.1`) allows only that version, a name without one all versions. `none` allows "
        "none.",
        examples=["[websocket, SPDY/3.1]"],
    )
    headers: HeadersConfig = Field(
        default=HeadersConfig(), description="Header fields that are added. See `routes.<name>.headers` below."
    )
    analysis: Annotated[AnalysisConfig | None, BeforeValidator(leaves.none_if_off)] = Field(
        default=AnalysisConfig(),
        description="How the canary is judged. `off` disables the analysis. See `routes.<name>.analysis` below.",
    )
    rollout: RolloutConfig = Field(
        default=RolloutConfig(),
        description="How a rollout raises the weight of the canary. See `routes.<name>.rollout` below.",
    )

    @cached_property
    def exceptions(self) -> tuple[Rule, ...]:
        """The rules for the routing table. Always the same object, so that they are compiled only once."""
        return RuleSet(self.rules).exceptions

    @model_validator(mode="after")
    def _judged(self) -> Self:
        known_goals(self.analysis, tuple(goal.name for goal in self.goals))
        _check_distinct_names(self.rules, self.rollout)
        if "rollout" in self.model_fields_set and self.analysis is not None and not self.analysis.protects:
            raise InvalidValueError(
                "enable one of errors, latency and limits, or set analysis: off",
                found="a `rollout` without a check that can roll the canary back",
            )
        return self

    @cached_property
    def excluded(self) -> tuple[Condition, ...]:
        """The conditions of requests that are left out of the analysis."""
        return () if self.analysis is None else self.analysis.exclude.conditions

    @cached_property
    def spec(self) -> AnalysisSpec | None:
        """The specification for the judge; None without analysis."""
        return None if self.analysis is None else self.analysis.spec(self.events, self.rollout.prove_above)

    @cached_property
    def events(self) -> tuple[Goal, ...]:
        """The goals for the routing table."""
        return tuple(goal.goal for goal in self.goals)

    @cached_property
    def digest(self) -> str:
        """Equal for routes that are written the same way, apart from their rules (they have their own digest). Of the
        steps of a rollout `as_written` has only the weights.
        """
        written = {key: value for key, value in as_written(self).items() if key != "rules"}
        if isinstance(self.rollout.steps, tuple):
            written["steps"] = [
                [
                    step.weight,
                    step.dwell,
                    step.hold,
                    [as_written(rule) for rule in step.rules.rules],
                    _numbers(step.mirror),
                ]
                for step in self.rollout.steps
            ]
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()

    @property
    def sides(self) -> tuple[VersionConfig, ...]:
        """Stable, and the canary if there is one."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that are valid but probably a mistake."""
        found = []
        if self.canary is None and self.mirror is not None:
            found.append("mirror: no copies are made, since the route has no canary")
        if self.canary is None and "stable" in self.fallback:
            found.append("fallback: `both` has no effect on stable, since the route has no canary")
        found += [] if self.affinity is None else cookie_scope_warnings(self.affinity, self.hosts, self.paths)
        seen: dict[tuple[object, ...], str] = {}
        for rule in self.rules:
            earlier = seen.setdefault(rule.conditions, rule.name)
            if earlier != rule.name:
                found.append(
                    f"rules: {rule.name} never applies, since {earlier} has the same conditions and comes first"
                )
            if rule.to == "stable" and rule.preview:
                found.append(f"rules: `preview` of {rule.name} has no effect, since the rule sends requests to stable")
        return tuple(found)


def _check_distinct_names(rules: tuple[RuleConfig, ...], rollout: RolloutConfig) -> None:
    """Rules of steps must not have the names of rules of the route. Raises `InvalidValueError`."""
    for name in sorted({rule.name for rule in rules} & rollout.rule_names):
        raise InvalidValueError(
            "give each rule a name of its own",
            found=f"a rule {name} of the route and of a step of `rollout`",
            plain="a rule of the route and a rule of a step of `rollout` with one name",
        )


def _numbers(mirror: Mirror | None) -> tuple[int, tuple[str, ...], int] | None:
    return None if mirror is None else (mirror.percent, mirror.methods, mirror.max_body)
