"""A route as requests meet it: what its rules, affinity and weight make of one.

`lot` answers what a request draws from before anything is drawn: the verdicts on either side of a weight,
and whose bucket is compared with it. Precedence: abort, then rules in order, then affinity, then weight. The
first rule that matches decides, whatever rules behind it say.
"""

from canaryproxy.model.decision import GoalRecogniser, VersionChoice
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import FULL_WEIGHT, Route
from canaryproxy.routing.affinity import Key, salt_of
from canaryproxy.routing.caching import Caches
from canaryproxy.routing.common import Common
from canaryproxy.routing.condition import compile_condition
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.hashing import Hash
from canaryproxy.routing.rules import RuleBook
from canaryproxy.routing.split import Dice, SplitKey
from canaryproxy.routing.vary import names_of

WEIGHT = "weight"
AFFINITY = "affinity"
ABORT = "abort"
MIRROR = "mirror"
"""Reasons of a decision; that of a rule is `rule:` and its name."""


class Lot:
    """What a request draws from: it goes to `below` if its bucket is below `weight`, else to `above`.

    The bucket is that of the client's key by `hash`, whose salt is `salt`, or without a key the next one of the split
    `split`. `rule` is the rule that matched, if one did; `certain`: there is nothing to draw; `drawn`: a bucket is
    drawn all the same, so that the sequence of buckets does not depend on the weight.
    """

    __slots__ = ("above", "below", "certain", "drawn", "hash", "rule", "salt", "split", "weight")

    def __init__(
        self,
        below: VersionChoice,
        above: VersionChoice,
        weight: int,
        split: SplitKey,
        salt: bytes,
        rule: Rule | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.below = below
        self.above = above
        self.weight = weight
        self.split = split
        self.salt = salt
        self.hash = Hash(salt)
        self.rule: Rule | None = rule
        self.certain = weight in (0, FULL_WEIGHT)
        self.drawn = not alone and (rule is None or not self.certain)

    def __repr__(self) -> str:
        return f"<Lot {self.below!r} below {self.weight}, {self.above!r} above>"


class Entry:
    """A route with its verdicts and its rules. `plain`: nothing but the weight decides; `alone`: there is no canary, so
    nothing is drawn, and both verdicts are stable's.

    `before` is the same route's entry in the last table: rules that have not changed are not filed again. `common` is
    what the routes of the table have in common.
    """

    __slots__ = (
        "_aborted",
        "_by_key",
        "_by_rule",
        "_by_weight",
        "_caches",
        "_excluded",
        "_goals",
        "_mirror",
        "_off",
        "_sticky",
        "_unjudged_by_key",
        "_unjudged_by_weight",
        "alone",
        "book",
        "canary",
        "hash",
        "plain",
        "route",
        "salt",
        "split",
        "stable",
        "weight",
    )

    book: RuleBook

    def __init__(self, route: Route, before: "Entry | None" = None, common: Common | None = None) -> None:
        common = common or Common()
        self.route = route
        self.weight = route.weight
        self.split: SplitKey = (route.name, WEIGHT)
        self.alone = route.canary is None
        self.plain = not (route.rules or route.affinity or route.aborted or route.excluded)
        self.salt = salt_of(route.salt or route.name)
        self.hash = Hash(self.salt)
        self._off = route.aborted
        self._sticky = common.sticky(route.affinity)
        self._excluded = tuple(map(compile_condition, route.excluded))
        self._goals = common.goals(route.goals)
        self._mirror = mirror_of(route)
        unchanged = before is not None and before.route.rules is route.rules
        self.book = before.book if before is not None and unchanged else common.book(route.rules)
        self._caches = caches_of(route, self.book)
        self._by_rule: dict[str, Lot] = {}
        self._by_weight = self._lot(WEIGHT)
        self._by_key = self._lot(AFFINITY) if self._sticky is not None else self._by_weight
        self._unjudged_by_weight = self._lot(WEIGHT, analysed=False) if route.excluded else self._by_weight
        self._unjudged_by_key = self._lot(AFFINITY, analysed=False) if route.excluded else self._by_key
        self.stable, self.canary = self._by_weight.above, self._by_weight.below
        self._aborted = VersionChoice(
            route, route.stable, ABORT, analysed=False, goals=self._goals, caches=self._caches
        )

    def __repr__(self) -> str:
        return f"<Entry {self.route.name} weight {self.weight}, {self.book!r}>"

    def lot(self, facts: Facts, dice: Dice) -> tuple[Lot, Key | None]:
        """What a request draws from, and the key of its client if that matters. `dice` make the key of a client that is
        new to its affinity cookie.
        """
        filed = self.book.first(facts) if self.book.rules else None
        if filed is not None:
            rule = filed.rule
            if not self._off or (rule.preview and rule.to == "canary"):
                lot = self.lot_of(rule)
                return lot, None if lot.certain and not rule.analyse else self._key(facts, dice)
        if self._off:
            matched = None if filed is None else filed.rule
            return Lot(self._aborted, self._aborted, 0, self.split, self.salt, matched), None
        key = self._key(facts, dice)
        if self._excluded and self._excludes(facts):
            return self._unjudged_by_weight if key is None else self._unjudged_by_key, key
        return self._by_weight if key is None else self._by_key, key

    def lot_of(self, rule: Rule) -> Lot:
        """What those draw from whom `rule` decides."""
        lot = self._by_rule.get(rule.name)
        if lot is None:
            route, reason = self.route, f"rule:{rule.name}"
            preview = rule.preview and rule.to == "canary"
            stable, canary = self._verdicts(reason, analysed=rule.analyse, preview=preview)
            to, other = (canary, stable) if rule.to == "canary" else (stable, canary)
            salt = salt_of(f"{route.salt or route.name}/{rule.name}")
            lot = self._by_rule[rule.name] = Lot(to, other, rule.percent, (route.name, reason), salt, rule)
        return lot

    def _lot(self, reason: str, *, analysed: bool = True) -> Lot:
        stable, canary = self._verdicts(reason, analysed=analysed)
        return Lot(canary, stable, self.weight, self.split, self.salt, alone=self.alone)

    def _verdicts(
        self, reason: str, *, analysed: bool = True, preview: bool = False
    ) -> tuple[VersionChoice, VersionChoice]:
        return verdicts(
            self.route,
            reason,
            analysed=analysed,
            preview=preview,
            goals=self._goals,
            mirror=self._mirror,
            caches=self._caches,
        )

    def _excludes(self, facts: Facts) -> bool:
        return any(holds.of(facts) for holds in self._excluded)

    def _key(self, facts: Facts, dice: Dice) -> Key | None:
        return None if self._sticky is None else self._sticky.key(facts, dice)


def verdicts(
    route: Route,
    reason: str,
    *,
    analysed: bool = True,
    preview: bool = False,
    goals: GoalRecogniser | None = None,
    mirror: VersionChoice | None = None,
    caches: Caches | None = None,
) -> tuple[VersionChoice, VersionChoice]:
    """The verdicts for stable and canary, each with the other as its rescue where the route allows it; without a canary
    both are the same. A preview is who was sent to the canary, not who would only be moved there for want of stable.
    """
    if route.canary is None:
        alone = VersionChoice(route, route.stable, reason, analysed=analysed, goals=goals, caches=caches)
        return alone, alone
    spare_stable = VersionChoice(route, route.stable, reason, analysed=analysed)
    spare_canary = VersionChoice(route, route.canary, reason, analysed=analysed)
    canary_may_serve = "stable" in route.fallback and not route.aborted
    return (
        VersionChoice(
            route,
            route.stable,
            reason,
            analysed=analysed,
            fallback=spare_canary if canary_may_serve else None,
            goals=goals,
            mirror=mirror,
            caches=caches,
        ),
        VersionChoice(
            route,
            route.canary,
            reason,
            analysed=analysed,
            preview=preview,
            goals=goals,
            caches=caches,
            fallback=spare_stable if "canary" in route.fallback else None,
            shield=None if route.shield is None else spare_stable,
        ),
    )


def caches_of(route: Route, book: RuleBook) -> Caches | None:
    """What caches have to know of the route's answers; None where all get the same one, and no cookie."""
    if route.canary is None:
        return None
    aborted = route.aborted
    names = names_of(book.survey(aborted=aborted), route.weight, route.affinity, aborted=aborted)
    sets_cookie = route.affinity is not None and route.affinity.by == "cookie"
    return Caches(names, route.caching) if names or sets_cookie else None


def mirror_of(route: Route) -> VersionChoice | None:
    """The verdict for copies of the route's requests; None where none are made. Aborted means off."""
    if route.canary is None or route.mirror is None or not route.mirror.percent or route.aborted:
        return None
    return VersionChoice(route, route.canary, MIRROR, analysed=False)
