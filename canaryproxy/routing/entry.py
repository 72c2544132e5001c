"""A route as requests meet it: what its rules, affinity and weight make of one.

`lot` answers what a request draws from before anything is drawn: the verdicts on either side of a weight,
and whose bucket is compared with it. Precedence: abort, then rules in order, then affinity, then weight. The
first rule that matches decides, whatever rules behind it say.
"""

from typing import NamedTuple

from canaryproxy.model.decision import Recogniser, Verdict
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import WEIGHT_SCALE, Route
from canaryproxy.routing.affinity import Key, key_of, salt_of
from canaryproxy.routing.condition import compile_condition
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.goals import Goals
from canaryproxy.routing.rules import RuleBook
from canaryproxy.routing.split import Dice, SplitKey

WEIGHT = "weight"
AFFINITY = "affinity"
ABORT = "abort"
MIRROR = "mirror"
"""Reasons of a decision; that of a rule is `rule:` and its name."""


class Lot(NamedTuple):
    """What a request draws from: it goes to `below` if its bucket is below `weight`, else to `above`.

    The bucket is that of `key` under `salt`, or without a key the next one of the split `split`. `rule` is the
    rule that matched, if one did.
    """

    below: Verdict
    above: Verdict
    weight: int
    split: SplitKey
    salt: bytes
    key: Key | None = None
    rule: Rule | None = None

    @property
    def certain(self) -> bool:
        """Whether there is nothing to draw."""
        return self.weight in (0, WEIGHT_SCALE)


class Entry:
    """A route with its verdicts and its rules. `plain`: nothing but the weight decides.

    `before` is the same route's entry in the last table: rules that have not changed are not filed again.
    """

    __slots__ = ("_aborted", "_affinity", "_by_rule", "_excluded", "_goals", "_mirror", "_salt", "_unjudged", "book",
                 "canary", "plain", "route", "split", "stable", "weight")  # fmt: skip

    book: RuleBook

    def __init__(self, route: Route, before: "Entry | None" = None) -> None:
        self.route = route
        self.weight = route.weight
        self.split: SplitKey = (route.name, WEIGHT)
        self.plain = not (route.rules or route.affinity or route.aborted or route.excluded)
        self._excluded = tuple(map(compile_condition, route.excluded))
        self._goals = Goals(route.goals) or None
        self._mirror = mirror_of(route)
        self.stable, self.canary = self._verdicts(WEIGHT)
        self.book = before.book if before is not None and before.route.rules is route.rules else RuleBook(route.rules)
        self._affinity = self._verdicts(AFFINITY)
        reasons = (WEIGHT, AFFINITY) if route.excluded else ()
        self._unjudged = {reason: self._verdicts(reason, analysed=False) for reason in reasons}
        self._aborted = Verdict(route, route.stable, ABORT, analysed=False, goals=self._goals)
        self._by_rule: dict[str, Lot] = {}
        self._salt = salt_of(route.salt or route.name)

    def __repr__(self) -> str:
        return f"<Entry {self.route.name} weight {self.weight}, {self.book!r}>"

    def lot(self, facts: Facts, dice: Dice) -> Lot:
        """What a request draws from. `dice` make the key of a client that is new to its affinity cookie."""
        filed = self.book.first(facts) if self.book.rules else None
        if filed is not None:
            lot = self.lot_of(filed.rule)
            if not self.route.aborted or (filed.rule.preview and filed.rule.to == "canary"):
                return lot if lot.certain and not filed.rule.analyse else lot._replace(key=self._key(facts, dice))
        if self.route.aborted:
            rule = None if filed is None else filed.rule
            return Lot(self._aborted, self._aborted, 0, self.split, self._salt, rule=rule)
        key = self._key(facts, dice)
        reason = WEIGHT if key is None else AFFINITY
        if any(holds(facts) for holds in self._excluded):
            stable, canary = self._unjudged[reason]
        else:
            stable, canary = (self.stable, self.canary) if key is None else self._affinity
        return Lot(canary, stable, self.weight, self.split, self._salt, key)

    def lot_of(self, rule: Rule) -> Lot:
        """What those draw from whom `rule` decides."""
        lot = self._by_rule.get(rule.name)
        if lot is None:
            route, reason = self.route, f"rule:{rule.name}"
            stable, canary = self._verdicts(reason, analysed=rule.analyse, preview=rule.preview)
            to, other = (canary, stable) if rule.to == "canary" else (stable, canary)
            salt = salt_of(f"{route.salt or route.name}/{rule.name}")
            lot = self._by_rule[rule.name] = Lot(to, other, rule.percent, (route.name, reason), salt, rule=rule)
        return lot

    @property
    def salt(self) -> bytes:
        """What the buckets of clients are seeded with, and their hashes as users."""
        return self._salt

    def _verdicts(self, reason: str, *, analysed: bool = True, preview: bool = False) -> tuple[Verdict, Verdict]:
        return verdicts(
            self.route, reason, analysed=analysed, preview=preview, goals=self._goals, mirror=self._mirror
        )  # fmt: skip

    def _key(self, facts: Facts, dice: Dice) -> Key | None:
        affinity = self.route.affinity
        return None if affinity is None else key_of(affinity, facts, dice)


def verdicts(
    route: Route, reason: str, *, analysed: bool = True, preview: bool = False, goals: Recogniser | None = None,
    mirror: Verdict | None = None,
) -> tuple[Verdict, Verdict]:  # fmt: skip
    """The verdicts for stable and canary, each with the other as its rescue where the route allows it."""
    spare_stable = Verdict(route, route.stable, reason, analysed=analysed)
    spare_canary = Verdict(route, route.canary, reason, analysed=analysed, preview=preview)
    canary_may_serve = "stable" in route.fallback and not route.aborted
    return (
        Verdict(
            route, route.stable, reason, analysed=analysed, rescue=spare_canary if canary_may_serve else None,
            goals=goals, mirror=mirror,
        ),
        Verdict(
            route, route.canary, reason, analysed=analysed, preview=preview, goals=goals,
            rescue=spare_stable if "canary" in route.fallback else None,
            shield=None if route.shield is None else spare_stable,
        ),
    )  # fmt: skip


def mirror_of(route: Route) -> Verdict | None:
    """The verdict for copies of the route's requests; None where none are made. Aborted means off."""
    if route.mirror is None or not route.mirror.percent or route.aborted:
        return None
    return Verdict(route, route.canary, MIRROR, analysed=False)
