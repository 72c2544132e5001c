"""What the routes of one table have in common: equal rules, goals and affinities are made ready once.

That saves memory, and a thousand routes that all let the testers in find the rule in the processor's caches.
"""

from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Affinity
from canaryproxy.routing.affinity import AffinityKey
from canaryproxy.routing.goal_matcher import GoalMatcher
from canaryproxy.routing.rule_index import RuleIndex


class CompileCache:
    """Made for a table, given up with it; what routes hold of it lives on."""

    __slots__ = ("_affinities", "_goals", "_rule_indexes")

    def __init__(self) -> None:
        self._affinities: dict[Affinity, AffinityKey] = {}
        self._rule_indexes: dict[tuple[Rule, ...], RuleIndex] = {}
        self._goals: dict[tuple[Goal, ...], GoalMatcher] = {}

    def __repr__(self) -> str:
        return f"<CompileCache: {len(self._rule_indexes)} books of rules, {len(self._goals)} sets of goals>"

    def rule_index(self, rules: tuple[Rule, ...]) -> RuleIndex:
        """The rules, filed."""
        rule_index = self._rule_indexes.get(rules)
        if rule_index is None:
            rule_index = self._rule_indexes[rules] = RuleIndex(rules)
        return rule_index

    def goals(self, goals: tuple[Goal, ...]) -> GoalMatcher | None:
        """The goals that traffic can reach; None where there are none."""
        compiled = self._goals.get(goals)
        if compiled is None:
            compiled = self._goals[goals] = GoalMatcher(goals)
        return compiled or None

    def affinity_key(self, affinity: Affinity | None) -> AffinityKey | None:
        """What keeps clients on their buckets; None where nothing does."""
        if affinity is None:
            return None
        compiled = self._affinities.get(affinity)
        if compiled is None:
            compiled = self._affinities[affinity] = AffinityKey(affinity)
        return compiled
