"""What the routes of one table have in common: equal rules, goals and affinities are made ready once.

That saves memory, and a thousand routes that all let the testers in find the rule in the processor's caches.
"""

from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import Affinity
from canaryproxy.routing.affinity import Sticky
from canaryproxy.routing.goals import Goals
from canaryproxy.routing.rules import RuleBook


class Common:
    """Made for a table, given up with it; what routes hold of it lives on."""

    __slots__ = ("_affinities", "_books", "_goals")

    def __init__(self) -> None:
        self._affinities: dict[Affinity, Sticky] = {}
        self._books: dict[tuple[Rule, ...], RuleBook] = {}
        self._goals: dict[tuple[Goal, ...], Goals] = {}

    def __repr__(self) -> str:
        return f"<Common: {len(self._books)} books of rules, {len(self._goals)} sets of goals>"

    def book(self, rules: tuple[Rule, ...]) -> RuleBook:
        """The rules, filed."""
        book = self._books.get(rules)
        if book is None:
            book = self._books[rules] = RuleBook(rules)
        return book

    def goals(self, goals: tuple[Goal, ...]) -> Goals | None:
        """The goals that traffic can reach; None where there are none."""
        ready = self._goals.get(goals)
        if ready is None:
            ready = self._goals[goals] = Goals(goals)
        return ready or None

    def sticky(self, affinity: Affinity | None) -> Sticky | None:
        """What keeps clients on their buckets; None where nothing does."""
        if affinity is None:
            return None
        ready = self._affinities.get(affinity)
        if ready is None:
            ready = self._affinities[affinity] = Sticky(affinity)
        return ready
