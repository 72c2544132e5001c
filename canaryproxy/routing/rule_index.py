"""Finds the first rule that matches without trying every rule.

A rule with an exact condition can only match a request with that value, so it is indexed by the rarest of its exact
values, and only the rules indexed by values of the request are tried. Rules without exact conditions are tried in
order. The rule with the lowest number wins, as if all rules had been tried.
"""

from collections import Counter
from collections.abc import Iterable

from canaryproxy.model.rule import Condition, Rule
from canaryproxy.routing.cache_vary import VarySummary, vary_summary
from canaryproxy.routing.conditions import compile_condition, exact_keys, pattern_of
from canaryproxy.routing.field_scan import FieldNames
from canaryproxy.routing.matchers import InPatternSet, Matcher, all_match
from canaryproxy.routing.patterns import MIN_MERGED as FEW_PATTERNS
from canaryproxy.routing.patterns import Pattern, PatternSet, Prefix
from canaryproxy.routing.request_view import MAX_SINGLE_LOOKUPS as FEW_COOKIES
from canaryproxy.routing.request_view import RequestView

Key = tuple[str, bytes, bytes]

# Kinds of conditions that may be merged with others.
PATTERN_KINDS = ("regex", "prefix")

# Limit on names that are looked up one by one; with more names, all names of the request are parsed first.
MAX_SINGLE_LOOKUPS = 8


class IndexedRule:
    """A rule with its number and its conditions compiled."""

    def __init__(self, number: int, rule: Rule) -> None:
        self.number = number
        self.rule = rule
        self._matchers: tuple[Matcher, ...] = tuple(map(compile_condition, rule.conditions))

    def __repr__(self) -> str:
        return f"<IndexedRule {self.number}: {self.rule.name}>"

    def replace_matcher(self, at: int, matcher: Matcher) -> None:
        """Replace the matcher of a condition by one that is shared by many rules."""
        self._matchers = (*self._matchers[:at], matcher, *self._matchers[at + 1 :])

    def matches(self, request: RequestView) -> bool:
        """Whether a request meets all conditions."""
        return all_match(self._matchers, request)

    def failing_conditions(self, request: RequestView) -> list[Condition]:
        """The conditions that a request does not meet."""
        pairs = zip(self.rule.conditions, self._matchers, strict=True)
        return [condition for condition, matcher in pairs if not matcher.matches(request)]


class FieldIndex:
    """Rules indexed by values of headers, cookies or parameters, as `subject` says."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._by_name: dict[bytes, dict[bytes, list[IndexedRule]]] = {}
        self._pairs: list[tuple[bytes, dict[bytes, list[IndexedRule]]]] = []

    def __repr__(self) -> str:
        return f"<FieldIndex {self.subject}: {', '.join(map(repr, self._by_name))}>"

    def add(self, indexed: IndexedRule, name: bytes, value: bytes) -> None:
        """Append a rule to those with the same name and value."""
        by_value = self._by_name.get(name)
        if by_value is None:
            by_value = self._by_name[name] = {}
            self._pairs.append((name, by_value))
        by_value.setdefault(value, []).append(indexed)

    def collect(self, request: RequestView, found: list[list[IndexedRule]] | None) -> list[list[IndexedRule]] | None:
        """`found` with the rules indexed by values of the request appended."""
        subject, pairs = self.subject, self._pairs
        if len(pairs) > MAX_SINGLE_LOOKUPS:
            names = self._by_name.keys() & request.all_values(subject).keys()
            pairs = [(name, self._by_name[name]) for name in names]
        for name, by_value in pairs:
            values = request.values(subject, name)
            for value in values if len(values) < 2 else dict.fromkeys(values):
                indexed = by_value.get(value)
                if indexed is None:
                    continue
                if found is None:
                    found = []
                found.append(indexed)
        return found


class RuleIndex:
    """The rules of a route, indexed."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(IndexedRule(number, rule) for number, rule in enumerate(rules))
        self._field_indexes: list[FieldIndex] = []
        self._paths: dict[bytes, list[IndexedRule]] = {}
        self._unindexed: list[IndexedRule] = []
        self._vary_cache: dict[bool, VarySummary] = {}
        choices = [list(filter(None, map(exact_keys, indexed.rule.conditions))) for indexed in self.rules]
        frequency = Counter(key for keys in choices for alternative in keys for key in alternative)
        together: dict[tuple[Key, ...], list[IndexedRule]] = {}
        for indexed, keys in zip(self.rules, choices, strict=True):
            rarest = min(keys, key=lambda some: sum(frequency[key] for key in some), default=[])
            self._add(indexed, rarest)
            if any(condition.kind in PATTERN_KINDS for condition in indexed.rule.conditions):
                together.setdefault(tuple(rarest), []).append(indexed)
        for group in together.values():
            if len(group) > FEW_PATTERNS:
                merge_patterns(group)
        self._cookies = cookie_names(self.rules)

    def __repr__(self) -> str:
        return f"<RuleIndex {len(self.rules)} rules, {len(self._unindexed)} of them tried in order>"

    def vary_summary(self, *, aborted: bool) -> VarySummary:
        """The summary of the rules, cached across changes of the weight."""
        found = self._vary_cache.get(aborted)
        if found is None:
            found = self._vary_cache[aborted] = vary_summary((indexed.rule for indexed in self.rules), aborted=aborted)
        return found

    def _add(self, indexed: IndexedRule, keys: list[Key]) -> None:
        if not keys:
            self._unindexed.append(indexed)
        for subject, name, value in dict.fromkeys(keys):
            if subject == "path":
                self._paths.setdefault(value, []).append(indexed)
            else:
                self._field_index(subject).add(indexed, name, value)

    def _field_index(self, subject: str) -> FieldIndex:
        for field_index in self._field_indexes:
            if field_index.subject == subject:
                return field_index
        self._field_indexes.append(FieldIndex(subject))
        return self._field_indexes[-1]

    def first_match(self, request: RequestView) -> IndexedRule | None:
        """The first rule that matches, or None."""
        best: IndexedRule | None = None
        if self._cookies is not None:
            request.expect_cookies(self._cookies)
        found = self.candidates(request)
        if found is None:
            return None
        for candidates in found:
            for indexed in candidates:
                if best is not None and indexed.number >= best.number:
                    break
                if indexed.matches(request):
                    best = indexed
                    break
        return best

    def candidates(self, request: RequestView) -> list[list[IndexedRule]] | None:
        """Lists of rules, each in order, that together hold every rule that can match; None where none can."""
        found: list[list[IndexedRule]] | None = None
        for field_index in self._field_indexes:
            found = field_index.collect(request, found)
        if self._paths and (indexed := self._paths.get(request.path())):
            found = [*(found or ()), indexed]
        if self._unindexed:
            found = [*(found or ()), self._unindexed]
        return found


def cookie_names(rules: Iterable[IndexedRule]) -> FieldNames | None:
    """The cookies that rules match; None if they are few enough to be searched one by one."""
    conditions = (condition for indexed in rules for condition in indexed.rule.conditions)
    names = {condition.name.encode("utf-8") for condition in conditions if condition.subject == "cookie"}
    return FieldNames(names) if len(names) > FEW_COOKIES else None


def merge_patterns(group: list[IndexedRule]) -> None:
    """Merge the patterns that rules match with the same values."""
    tried: dict[tuple[str, str], list[tuple[IndexedRule, int, Pattern | Prefix]]] = {}
    for indexed in group:
        for at, condition in enumerate(indexed.rule.conditions):
            pattern = pattern_of(condition)
            if pattern is not None:
                tried.setdefault((condition.subject, condition.name), []).append((indexed, at, pattern))
    for (subject, name), some in tried.items():
        if len(some) > FEW_PATTERNS:
            patterns = PatternSet(subject, name.encode("utf-8"), [pattern for _, _, pattern in some])
            for number, (indexed, at, _) in enumerate(some):
                indexed.replace_matcher(at, InPatternSet(patterns, number))
