"""The part of the schema that is a route: its versions, rules, affinity and headers."""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canaryproxy.analysis.spec import AnalysisSpec
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.analysis import AnalysisConfig, known_goals
from canaryproxy.config.schema.goals import GoalConfig, goal_list
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.rules import RuleConfig, RuleSet, rule_list
from canaryproxy.config.schema.safety import MirrorConfig, ShieldConfig, defaults_if_true
from canaryproxy.config.schema.section import (
    AffinityRule,
    CountOrNone,
    Duration,
    Fallback,
    HostPattern,
    PathPrefix,
    Percent,
    Section,
    ShortDuration,
    Switch,
    Upgrades,
    Url,
    VersionText,
    as_written,
    none_if_off,
)
from canaryproxy.config.types.address import Origin
from canaryproxy.config.types.affinity import misplaced
from canaryproxy.config.types.sequence import non_empty_sequence
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import UPGRADES, Caching, Version

VERSION = Version("stable", ())

VERSION_EXPECTED = "expected a URL such as http://localhost:9001, or a mapping with `url` and timeouts"


class VersionConfig(Section):
    """One side of the split. Short form: the URL alone."""

    url: Url | None = Field(
        default=None,
        description="`http://host[:port]` or `https://host[:port]`, port 80 or 443 unless given. No path: requests "
        "keep their own. A name is resolved again every few seconds, and every address it has is an endpoint.",
        examples=["http://shop-canary:8080"],
    )
    endpoints: Annotated[tuple[Url, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Several URLs in place of `url`. All with the same scheme.",
        examples=["[http://10.0.0.1:8080, http://10.0.0.2:8080]"],
    )
    connect_timeout: ShortDuration = Field(
        default=VERSION.connect_timeout,
        description="Longest time to open a connection. Then 504.",
        examples=["500ms"],
    )
    response_timeout: Duration = Field(
        default=VERSION.response_timeout,
        description="Longest time from the request to the response head, and then between response bytes. Then 504.",
        examples=["2m"],
    )
    keep_alive: Duration = Field(
        default=VERSION.keep_alive,
        description="How long an idle upstream connection is kept for reuse. Stay below the upstream's own limit.",
        examples=["55s"],
    )

    version: VersionText = Field(
        default="",
        description="What this version is called in answers, events and metrics, where its health check does not ask "
        "it (`version_header`). Another one for the canary is another canary: its rollout begins at the first step.",
        examples=["v42"],
    )
    health: Annotated[HealthConfig | None, BeforeValidator(none_if_off)] = Field(
        default=None,
        description="Active health checks. `none`: every endpoint counts as healthy. See below.",
    )
    max_in_flight: CountOrNone = Field(
        default=None,
        description="Exchanges open at one time, tunnels included; shared evenly by the workers, rounded up. A further "
        "one is answered 503 and is not held against the version.",
        examples=["1000"],
    )
    tls: UpstreamTlsConfig | None = Field(
        default=None, description="For `https://`: whom to trust and what to show. Default: the system's authorities."
    )

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where the version is, as written: one URL or several."""
        return self.endpoints if self.url is None else (self.url,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.url is None) == (not self.endpoints):
            found = "neither `url` nor `endpoints`" if self.url is None else "both `url` and `endpoints`"
            raise InvalidValueError("give `url: http://...`, or `endpoints` with a list", found=found)
        schemes = {origin.scheme for origin in self.origins}
        if len(schemes) > 1:
            raise InvalidValueError("give all of them the same scheme", found="endpoints with http:// and https://")
        if self.tls is not None and schemes == {"http"}:
            raise InvalidValueError(
                "write https:// in the URL, or remove `tls`", found="`tls` beside a URL with http://"
            )
        if self.health is not None and self.health.scheme == "https" and schemes == {"http"}:
            raise InvalidValueError(
                "write https:// in the URL, or remove `scheme`", found="`health.scheme: https` beside http://"
            )
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
    """Header fields that we add."""

    add_version: Switch = Field(
        default=False,
        description="Tell the upstream and the client which version was chosen: `X-Canary-Version: stable` or "
        "`canary`.",
        examples=["true"],
    )
    shared_cookie: Switch = Field(
        default=False,
        description="Set the affinity cookie also on answers that a shared cache may store (`public`, `s-maxage`, "
        "`immutable`, `max-age` without `private`, `Expires`). A cache then stores none of them, or gives one client's "
        "cookie to all.",
        examples=["true"],
    )
    shared_vary_cookie: Switch = Field(
        default=False,
        description="Name Cookie in `Vary` also on such answers, where a cookie decides. A cache then keeps one copy "
        "for each client: hardly any request is a hit.",
        examples=["true"],
    )

    @property
    def caching(self) -> Caching:
        """As the table has it."""
        return Caching(self.shared_cookie, self.shared_vary_cookie)


class RouteConfig(Section):
    """A host + path entry with a stable version, and a canary where there is one. Changes apply to the next request.

    Without a canary nothing may be sent to it: a `weight` above 0 and a rule that reaches the canary are errors. What
    says how a canary is treated (`affinity`, `mirror`, `shield`, `fallback`, `goals`, `analysis`, `rollout`) may stand
    and waits for one.
    """

    hosts: Annotated[tuple[HostPattern, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Hosts this route answers for, whatever the port: exact names, or `*.example.com` for every name "
        "below it. The most specific host wins, before any path is looked at. Case and a trailing dot make no "
        "difference. Left out: any host that no other route names.",
        examples=['[shop.example.com, "*.shop.example.com"]'],
    )
    paths: Annotated[tuple[PathPrefix, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=("/",),
        description="Path prefixes by whole segments: `/api` is met by `/api` and `/api/x`, not by `/apix`. "
        "The longest wins. A trailing slash makes no difference.",
        examples=["[/cart, /checkout]"],
    )
    stable: VersionConfig = Field(
        description="The version that everyone gets who is not sent to the canary.",
        examples=["http://shop-stable:8080"],
    )
    canary: Annotated[VersionConfig | None, BeforeValidator(none_if_off)] = Field(
        default=None,
        description="The version on trial. Left out, or `none`: a plain route, where stable gets everything until a "
        "canary comes, in the file or over the API.",
        examples=["http://shop-canary:8080"],
    )
    weight: Percent = Field(
        0,
        description="Percentage of requests sent to the canary: a number from 0 to 100 with at most two decimals, "
        "or text like `0.25%`.",
        examples=["5"],
    )
    rules: Annotated[tuple[RuleConfig, ...], BeforeValidator(rule_list)] = Field(
        default=(),
        description="Exceptions, in order: the first one that matches decides, before affinity and weight. See "
        "`routes.<name>.rules[]` below.",
        examples=['[{name: testers, headers: {x-internal-tester: "true"}, to: canary}]'],
    )
    affinity: AffinityRule = Field(
        default=None,
        description="What keeps a client on its version as long as the weight allows: a cookie with a random id (named "
        "`canaryproxy`), a header that identifies users, or the client's address (`source`, or `{source: true}`). A "
        "client without the header is drawn by weight, request by request. Beside `cookie: NAME` may stand `max_age` "
        "(left out: the browser's session), `same_site` (`lax`; or `strict`, `none`), `domain` (the host alone), "
        "`path` (`/`), `secure` (`false`: under https; `true`: always) and `partitioned` (`false`). Beside any of "
        "them: `salt`, by default the route's name. Routes with one salt give a client the same bucket; a new salt "
        "draws all clients again, so change it only while the canary has no weight.",
        examples=["cookie"],
    )
    mirror: Annotated[MirrorConfig | None, BeforeValidator(none_if_off)] = Field(
        default=None,
        description="Copies of stable's requests for the canary, whose answers are dropped: a look at it before any "
        "user. `none` makes none. None are made for an aborted canary. See `routes.<name>.mirror` below.",
    )
    shield: Annotated[ShieldConfig | None, BeforeValidator(defaults_if_true)] = Field(
        default=None,
        description="Stable answers where an attempt at the canary fails. `true` takes the defaults, `off` lets it "
        "fail. See `routes.<name>.shield` below.",
    )
    fallback: Fallback = Field(
        default=frozenset(("canary",)),
        description="Let stable answer while the canary has no healthy endpoint or none can be connected to; it counts "
        "as a failure of the canary all the same. `both`: also the reverse, unless the canary is aborted. `false`: "
        "such requests are answered 503.",
        examples=["both"],
    )
    goals: Annotated[tuple[GoalConfig, ...], BeforeValidator(goal_list)] = Field(
        default=(),
        description="Business events, counted for the version that the request was decided for: by request, by value "
        "and, with affinity, by user. See `routes.<name>.goals[]` below.",
        examples=["[{name: add_to_cart, method: POST, path: /cart}]"],
    )
    upgrades: Upgrades = Field(
        default=UPGRADES,
        description="Protocols that a client may change to on its connection, which is then relayed as it is. A name "
        "with a version (`SPDY/3.1`) allows just that version, without one all of them. `none` allows none.",
        examples=["[websocket, SPDY/3.1]"],
    )
    headers: HeadersConfig = Field(default=HeadersConfig(), description="See `routes.<name>.headers` below.")
    analysis: Annotated[AnalysisConfig | None, BeforeValidator(none_if_off)] = Field(
        default=AnalysisConfig(),
        description="How the canary is judged; left out, by the defaults. `off` does not judge it. See "
        "`routes.<name>.analysis` below.",
    )
    rollout: RolloutConfig = Field(
        default=RolloutConfig(),
        description="How the canary is raised once a rollout is started. See `routes.<name>.rollout` below.",
    )

    @cached_property
    def exceptions(self) -> tuple[Rule, ...]:
        """The rules as the table has them: the same object as long as the config is, so they are compiled once."""
        return RuleSet(self.rules).exceptions

    @model_validator(mode="after")
    def _judged(self) -> Self:
        known_goals(self.analysis, tuple(goal.name for goal in self.goals))
        _check_distinct_names(self.rules, self.rollout)
        if "rollout" in self.model_fields_set and self.analysis is not None and not self.analysis.protects:
            raise InvalidValueError(
                "leave one of errors, latency, limits on, or say analysis: off",
                found="a `rollout` whose canary nothing can take back",
            )
        return self

    @cached_property
    def excluded(self) -> tuple[Condition, ...]:
        """Requests that stay out of the analysis, as the table has them."""
        return () if self.analysis is None else self.analysis.exclude.conditions

    @cached_property
    def spec(self) -> AnalysisSpec | None:
        """How the canary is judged; None if it is not."""
        return None if self.analysis is None else self.analysis.spec(self.events, self.rollout.prove_above)

    @cached_property
    def events(self) -> tuple[Goal, ...]:
        """The goals as the table has them."""
        return tuple(goal.goal for goal in self.goals)

    @cached_property
    def digest(self) -> str:
        """Equal for routes that are written alike but for their rules, which have a digest of their own."""
        written = {key: value for key, value in as_written(self).items() if key != "rules"}
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()

    @property
    def sides(self) -> tuple[VersionConfig, ...]:
        """The versions that there are."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    @property
    def _waiting(self) -> Iterator[str]:
        """What would send something to the canary, and does so only once there is one."""
        if self.mirror is not None:
            yield "mirror: no copies are made, the route has no canary"
        if "stable" in self.fallback:
            yield "fallback: nothing stands in for stable, the route has no canary"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and yet worth a second look."""
        found = list(self._waiting) if self.canary is None else []
        found += [] if self.affinity is None else misplaced(self.affinity, self.hosts, self.paths)
        seen: dict[tuple[object, ...], str] = {}
        for rule in self.rules:
            earlier = seen.setdefault(rule.conditions, rule.name)
            if earlier != rule.name:
                found.append(f"rules: {rule.name} never decides, {earlier} has the same conditions and comes first")
            if rule.to == "stable" and rule.preview:
                found.append(f"rules: `preview` of {rule.name} changes nothing, it sends to stable")
        return tuple(found)


def _check_distinct_names(rules: tuple[RuleConfig, ...], rollout: RolloutConfig) -> None:
    """Rules of steps have names that no rule of the route has. Raises `InvalidValueError`."""
    twice = {rule.name for rule in rules} & rollout.rule_names
    for name in sorted(twice):
        hint = "give each rule a name of its own"
        plain = InvalidValueError(hint, found="a rule of the route and one of a step of `rollout` with one name")
        raise InvalidValueError(hint, found=f"a rule {name} of the route and of a step of `rollout`", plain=plain)
