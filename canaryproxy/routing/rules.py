"""The first rule that matches, without looking at every rule.

A rule with an exact condition can only match a request that has that very value, so each such rule is filed
under the rarest of its exact values, and a request is asked for the rules filed under what it brings. Rules
without one are tried in order. Either way the rule with the lowest number wins, just as if all had been tried.
"""

from collections import Counter
from collections.abc import Iterable

from canaryproxy.model.rule import Condition, Rule
from canaryproxy.routing.condition import compile_condition, keys_of, pattern_of
from canaryproxy.routing.facts import FEW as FEW_COOKIES
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.field_scan import Names
from canaryproxy.routing.holds import Among, Holds, all_hold
from canaryproxy.routing.patterns import FEW as FEW_PATTERNS
from canaryproxy.routing.patterns import Battery, Pattern, Prefix
from canaryproxy.routing.vary import Survey, survey

Key = tuple[str, bytes, bytes]

SEARCHED = ("regex", "prefix")
"""Kinds of conditions that may be matched together with others."""

FEW = 8
"""Names that are looked up one by one; of more of them, those that a request has are found first."""


class Filed:
    """A rule with its number and its conditions compiled."""

    __slots__ = ("_holds", "number", "rule")

    def __init__(self, number: int, rule: Rule) -> None:
        self.number = number
        self.rule = rule
        self._holds: tuple[Holds, ...] = tuple(map(compile_condition, rule.conditions))

    def __repr__(self) -> str:
        return f"<Filed {self.number}: {self.rule.name}>"

    def look_up(self, at: int, holds: Holds) -> None:
        """Let a condition be answered by what answers it for many rules."""
        self._holds = (*self._holds[:at], holds, *self._holds[at + 1 :])

    def matches(self, facts: Facts) -> bool:
        """Whether all conditions hold."""
        return all_hold(self._holds, facts)

    def failing(self, facts: Facts) -> list[Condition]:
        """The conditions that do not hold."""
        return [one for one, holds in zip(self.rule.conditions, self._holds, strict=True) if not holds.of(facts)]


class Shelf:
    """The rules filed under values of headers, of cookies or of parameters, as `subject` says."""

    __slots__ = ("_by_name", "_pairs", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._by_name: dict[bytes, dict[bytes, list[Filed]]] = {}
        self._pairs: list[tuple[bytes, dict[bytes, list[Filed]]]] = []

    def __repr__(self) -> str:
        return f"<Shelf {self.subject}: {', '.join(map(repr, self._by_name))}>"

    def file(self, filed: Filed, name: bytes, value: bytes) -> None:
        """Put a rule behind those with the same name and value."""
        by_value = self._by_name.get(name)
        if by_value is None:
            by_value = self._by_name[name] = {}
            self._pairs.append((name, by_value))
        by_value.setdefault(value, []).append(filed)

    def meet(self, facts: Facts, found: list[list[Filed]] | None) -> list[list[Filed]] | None:
        """What was found, and the rules filed under values that the request has."""
        subject, pairs = self.subject, self._pairs
        if len(pairs) > FEW:
            names = self._by_name.keys() & facts.everything(subject).keys()
            pairs = [(name, self._by_name[name]) for name in names]
        for name, by_value in pairs:
            values = facts.values(subject, name)
            for value in values if len(values) < 2 else dict.fromkeys(values):
                filed = by_value.get(value)
                if filed is None:
                    continue
                if found is None:
                    found = []
                found.append(filed)
        return found


class RuleBook:
    """The rules of a route, filed."""

    __slots__ = ("_cookies", "_paths", "_rest", "_shelves", "_surveys", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(Filed(number, rule) for number, rule in enumerate(rules))
        self._shelves: list[Shelf] = []
        self._paths: dict[bytes, list[Filed]] = {}
        self._rest: list[Filed] = []
        self._surveys: dict[bool, Survey] = {}
        choices = [list(filter(None, map(keys_of, filed.rule.conditions))) for filed in self.rules]
        crowd = Counter(key for keys in choices for alternative in keys for key in alternative)
        together: dict[tuple[Key, ...], list[Filed]] = {}
        for filed, keys in zip(self.rules, choices, strict=True):
            rarest = min(keys, key=lambda some: sum(crowd[key] for key in some), default=[])
            self._file(filed, rarest)
            if any(condition.kind in SEARCHED for condition in filed.rule.conditions):
                together.setdefault(tuple(rarest), []).append(filed)
        for group in together.values():
            if len(group) > FEW_PATTERNS:
                merge(group)
        self._cookies = cookies_of(self.rules)

    def __repr__(self) -> str:
        return f"<RuleBook {len(self.rules)} rules, {len(self._rest)} of them tried in order>"

    def survey(self, *, aborted: bool) -> Survey:
        """What the rules may do; worked out once, however often the weight changes."""
        found = self._surveys.get(aborted)
        if found is None:
            found = self._surveys[aborted] = survey((filed.rule for filed in self.rules), aborted=aborted)
        return found

    def _file(self, filed: Filed, keys: list[Key]) -> None:
        if not keys:
            self._rest.append(filed)
        for subject, name, value in dict.fromkeys(keys):
            if subject == "path":
                self._paths.setdefault(value, []).append(filed)
            else:
                self._shelf(subject).file(filed, name, value)

    def _shelf(self, subject: str) -> Shelf:
        for shelf in self._shelves:
            if shelf.subject == subject:
                return shelf
        self._shelves.append(Shelf(subject))
        return self._shelves[-1]

    def first(self, facts: Facts) -> Filed | None:
        """The first rule that matches, or None."""
        best: Filed | None = None
        if self._cookies is not None:
            facts.expect(self._cookies)
        found = self.candidates(facts)
        if found is None:
            return None
        for candidates in found:
            for filed in candidates:
                if best is not None and filed.number >= best.number:
                    break
                if filed.matches(facts):
                    best = filed
                    break
        return best

    def candidates(self, facts: Facts) -> list[list[Filed]] | None:
        """Lists of rules, each in order, that together hold every rule that can match; None where none can."""
        found: list[list[Filed]] | None = None
        for shelf in self._shelves:
            found = shelf.meet(facts, found)
        if self._paths and (filed := self._paths.get(facts.path())):
            found = [*(found or ()), filed]
        if self._rest:
            found = [*(found or ()), self._rest]
        return found


def cookies_of(rules: Iterable[Filed]) -> Names | None:
    """The cookies that rules ask for; None where they are few enough to look for each."""
    conditions = (condition for filed in rules for condition in filed.rule.conditions)
    names = {condition.name.encode("utf-8") for condition in conditions if condition.subject == "cookie"}
    return Names(names) if len(names) > FEW_COOKIES else None


def merge(group: list[Filed]) -> None:
    """Have the patterns that rules try on the same values matched all in one pass."""
    tried: dict[tuple[str, str], list[tuple[Filed, int, Pattern | Prefix]]] = {}
    for filed in group:
        for at, condition in enumerate(filed.rule.conditions):
            pattern = pattern_of(condition)
            if pattern is not None:
                tried.setdefault((condition.subject, condition.name), []).append((filed, at, pattern))
    for (subject, name), some in tried.items():
        if len(some) > FEW_PATTERNS:
            battery = Battery(subject, name.encode("utf-8"), [pattern for _, _, pattern in some])
            for number, (filed, at, _) in enumerate(some):
                filed.look_up(at, Among(battery, number))
