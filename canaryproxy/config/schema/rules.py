"""The part of the schema for rules: exceptions from the weight."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.section import (
    CookieName,
    HeaderName,
    Match,
    Method,
    ParameterName,
    PathMatch,
    Percent,
    RuleName,
    Section,
    Switch,
    Trusted,
    VersionTo,
)
from canaryproxy.config.types.sequence import non_empty_sequence, sequence
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.table import FULL_WEIGHT


class RuleConfig(Section):
    """An exception. All its conditions must hold; without any it matches every request."""

    name: RuleName = Field(description="Its name in metrics and logs, unique in the route.", examples=["testers"])
    headers: dict[HeaderName, Match] = Field(
        default={},
        description="Headers by name, each with a value (exact) or one of `exact`, `prefix`, `regex` (RE2, the whole "
        "value), `present: true` or `false`, `in: [...]`, `item` (a text or a list of texts, one of which is an item "
        "of a comma-separated list: `a, b` has the item `b`). Of repeated headers any may match.",
        examples=['{x-internal-tester: "true"}'],
    )
    cookies: dict[CookieName, Match] = Field(
        default={}, description="Cookies by name, compared like headers.", examples=['{beta: "1"}']
    )
    query: dict[ParameterName, Match] = Field(
        default={},
        description="Query parameters by name, decoded, compared like headers.",
        examples=["{preview: {present: true}}"],
    )
    methods: Annotated[tuple[Method, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(), description="Request methods, any of them.", examples=["[GET, HEAD]"]
    )
    path: PathMatch | None = Field(
        default=None,
        description="The path: exact, or one of `exact`, `prefix` (by whole segments), `regex` (RE2, the whole path). "
        "Compared in one normalised spelling.",
        examples=["{prefix: /beta}"],
    )
    sources: Annotated[tuple[Trusted, ...], BeforeValidator(non_empty_sequence)] = Field(
        default=(),
        description="Networks of clients, any of them; behind `trusted_proxies` the client's own address counts.",
        examples=["[10.1.0.0/16]"],
    )
    to: VersionTo = Field(description="The version these requests get.", examples=["canary"])
    percent: Percent = Field(
        FULL_WEIGHT,
        description="How many of them; the others get the other version. With affinity a client stays on its side.",
        examples=["50"],
    )
    preview: Switch = Field(default=False, description="Reach the canary even when it is aborted.", examples=["true"])
    analyse: Switch = Field(default=False, description="Count these requests in the analysis, too.", examples=["true"])

    @property
    def reaches_canary(self) -> bool:
        """Whether any request that it decides goes to the canary."""
        return self.to == "canary" or self.percent < FULL_WEIGHT

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What must hold of a request, cheap questions first."""
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
    """A list of rules with names of their own."""
    rules = sequence(value)
    names = Counter(rule["name"] for rule in rules if isinstance(rule, dict) and isinstance(rule.get("name"), str))
    for name, count in names.most_common(1):
        if count > 1:
            raise InvalidValueError("give each rule a name of its own", found=f"{count} rules named {name}")
    return rules


@dataclass(frozen=True)
class RuleSet:
    """The rules of a route, in order."""

    rules: tuple[RuleConfig, ...]

    @cached_property
    def exceptions(self) -> tuple[Rule, ...]:
        """The rules as the table has them, the same object whenever asked."""
        return tuple(
            Rule(rule.name, rule.conditions, rule.to, rule.percent, rule.preview, rule.analyse) for rule in self.rules
        )
