"""The sections of rules, which are exceptions to the weight, and of goals, which are business events."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema import leaves
from canaryproxy.config.schema.section import Section
from canaryproxy.config.types.readers import distinct, non_empty_sequence, sequence
from canaryproxy.model.goal import REACHED, Goal
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import FULL_WEIGHT

# Goals of one route: each has metric series of its own.
MAX_GOALS = 100


class RuleConfig(Section):
    """An exception to the weight, for requests that meet all conditions. Without conditions it matches all."""

    name: leaves.RuleName = Field(description="Name in metrics and logs, unique in the route.", examples=["testers"])
    headers: dict[leaves.HeaderName, leaves.Match] = Field(
        default={},
        description="Headers by name, each with a text (exact), or with one of `exact`, `prefix`, `regex` (RE2, "
        "matches the whole value), `present: true` or `false`, `in: [...]`, and `item` (a text or a list of texts, "
        "of which one is an item of a comma-separated list: `a, b` has the item `b`). Of a repeated header any value "
        "may match.",
        examples=['{x-internal-tester: "true"}'],
    )
    cookies: dict[leaves.CookieName, leaves.Match] = Field(
        default={}, description="Cookies by name, compared like headers.", examples=['{beta: "1"}']
    )
    query: dict[leaves.ParameterName, leaves.Match] = Field(
        default={},
        description="Query parameters by name, percent-decoded and compared like headers.",
        examples=["{preview: {present: true}}"],
    )
    methods: Annotated[tuple[leaves.Method, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(), description="Request methods, of which any may match.", examples=["[GET, HEAD]"]
    )
    path: leaves.PathMatch = None
    sources: Annotated[tuple[leaves.Trusted, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Networks of client addresses, of which any may match. Behind `trusted_proxies` the address of the "
        "client is used, not that of the proxy.",
        examples=["[10.1.0.0/16]"],
    )
    to: leaves.VersionTo = Field(description="Version for the requests that match.", examples=["canary"])
    percent: leaves.Percent = Field(
        FULL_WEIGHT,
        description="Percentage of the matching requests that get this version; the others get the other version. With "
        "affinity a client always gets the same one.",
        examples=["50"],
    )
    preview: leaves.Switch = Field(
        default=False, description="Send these requests to the canary even after an abort.", examples=["true"]
    )
    analyse: leaves.Switch = Field(
        default=False, description="Include these requests in the analysis.", examples=["true"]
    )

    @property
    def reaches_canary(self) -> bool:
        """Whether any matching request goes to the canary."""
        return self.to == "canary" or self.percent < FULL_WEIGHT

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions for the routing table, cheap ones first."""
        found = [Condition("method", "in", self.methods)] if self.methods else []
        found += [Condition("header", *match, name) for name, match in self.headers.items()]
        found += [Condition("cookie", *match, name) for name, match in self.cookies.items()]
        if self.path is not None:
            found.append(Condition("path", *self.path))
        found += [Condition("query", *match, name) for name, match in self.query.items()]
        if self.sources:
            found.append(Condition("source", "in", tuple(map(str, self.sources))))
        return tuple(found)


def rule_list(value: object) -> tuple[object, ...]:
    """A list of rules with different names."""
    return distinct("rule")(sequence(value))


@dataclass(frozen=True)
class RuleSet:
    """The rules of a route, in order."""

    rules: tuple[RuleConfig, ...]

    @cached_property
    def exceptions(self) -> tuple[Rule, ...]:
        """The rules for the routing table. Always the same object, so that they are compiled only once."""
        return tuple(
            Rule(rule.name, rule.conditions, rule.to, rule.percent, rule.preview, rule.analyse) for rule in self.rules
        )


class GoalConfig(Section):
    """A business event: a response that meets all conditions. One with only a name is reported through the API."""

    name: leaves.RuleName = Field(
        description="Name in metrics and stats, unique in the route.", examples=["add_to_cart"]
    )
    method: leaves.Method | None = Field(default=None, description="Method of the request.", examples=["POST"])
    path: leaves.PathMatch = None
    status: leaves.Statuses = Field(
        default=REACHED, description="Statuses of responses that are counted.", examples=["201"]
    )
    header: leaves.HeaderName | None = Field(
        default=None,
        description="Response header that contains the value of the event: digits, with at most six decimals. A "
        "response without this header, or with any other text in it, is not counted. Values above 1,000,000,000 are "
        "reduced to that. Without this key every event has the value 1.",
        examples=["x-order-value"],
    )

    @property
    def goal(self) -> Goal:
        """The goal for the routing table."""
        conditions = [] if self.method is None else [Condition("method", "in", (self.method,))]
        if self.path is not None:
            conditions.append(Condition("path", *self.path))
        reported = not self.model_fields_set - {"name"}
        return Goal(self.name, tuple(conditions), self.status, self.header or "", reported)


def goal_list(value: object) -> tuple[object, ...]:
    """A list of goals with different names."""
    goals = distinct("goal")(sequence(value))
    if len(goals) > MAX_GOALS:
        raise InvalidValueError(f"a route has at most {MAX_GOALS} goals", found=f"{len(goals)} goals")
    return goals
