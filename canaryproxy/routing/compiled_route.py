"""A route compiled for decisions: its rules, affinity and weight.

`split_for` returns the split of a request before any bucket is drawn: the choices below and above a weight, and whose
bucket is compared with the weight. Precedence: abort, rules in order, affinity, weight. The first rule that matches
decides; later rules are ignored.
"""

import functools

from canaryproxy.model.decision import GoalRecogniser, VersionChoice
from canaryproxy.model.goal import Goal
from canaryproxy.model.rule import Rule
from canaryproxy.model.table import FULL_WEIGHT, Affinity, Route
from canaryproxy.routing.affinity import AffinityKey, ClientKey, salt_of
from canaryproxy.routing.cache_control import CacheAdvisor
from canaryproxy.routing.cache_vary import names_of
from canaryproxy.routing.conditions import compile_condition
from canaryproxy.routing.goal_matcher import GoalMatcher
from canaryproxy.routing.hashing import Hash
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.rule_index import RuleIndex
from canaryproxy.routing.split import Rng, SplitKey

# Reasons of a decision; that of a rule is `rule:` and its name.
WEIGHT = "weight"
AFFINITY = "affinity"
ABORT = "abort"
MIRROR = "mirror"


class TrafficSplit:
    """Two choices: a request goes to `below` if its bucket is below `weight`, else to `above`.

    The bucket is the client key's by `hash`, salted with `salt`; without a key, the next bucket of the split `split`.
    `rule` is the rule that matched, or None. `certain`: the outcome does not depend on the bucket. `drawn`: a bucket
    is drawn nevertheless, so that the sequence of buckets does not depend on the weight.
    """

    def __init__(
        self,
        below: VersionChoice,
        above: VersionChoice,
        weight: int,
        split: SplitKey,
        salt: bytes,
        rule: Rule | None = None,
        *,
        single: bool = False,
    ) -> None:
        self.below = below
        self.above = above
        self.weight = weight
        self.split = split
        self.salt = salt
        self.hash = Hash(salt)
        self.rule = rule
        self.certain = weight in (0, FULL_WEIGHT)
        self.drawn = not single and (rule is None or not self.certain)

    def __repr__(self) -> str:
        return f"<TrafficSplit {self.below!r} below {self.weight}, {self.above!r} above>"


class CompileCache:
    """Compiled rules, goals and affinities of one table: routes with equal ones share them. That saves memory, and a
    thousand routes with the same rule for testers find it in the processor's caches.
    """

    __slots__ = ("_affinity_key", "_goals", "rule_index")

    def __init__(self) -> None:
        self._affinity_key = functools.cache(AffinityKey)
        self._goals = functools.cache(GoalMatcher)
        self.rule_index = functools.cache(RuleIndex)

    def __repr__(self) -> str:
        rules, goals = self.rule_index.cache_info().currsize, self._goals.cache_info().currsize
        return f"<CompileCache: {rules} rule indexes, {goals} sets of goals>"

    def goals(self, goals: tuple[Goal, ...]) -> GoalMatcher | None:
        """A matcher of the goals that traffic can reach; None without any."""
        return self._goals(goals) or None

    def affinity_key(self, affinity: Affinity | None) -> AffinityKey | None:
        """The affinity, compiled; None without affinity."""
        return None if affinity is None else self._affinity_key(affinity)


class CompiledRoute:
    """A route with its choices and its rules. `plain`: only the weight decides; `stable_only`: there is no canary, so
    nothing is drawn, and both choices are stable.

    `before` is the same route in the last table: the index of unchanged rules is reused. `cache` is shared by the
    routes of the table.
    """

    rule_index: RuleIndex

    def __init__(self, route: Route, before: "CompiledRoute | None" = None, cache: CompileCache | None = None) -> None:
        cache = cache or CompileCache()
        self.route = route
        self.weight = route.weight
        self.split: SplitKey = (route.name, WEIGHT)
        self.stable_only = route.canary is None
        self.plain = not (route.rules or route.affinity or route.aborted or route.excluded)
        self.salt = salt_of(route.salt or route.name)
        self.hash = Hash(self.salt)
        self._canary_off = route.aborted
        self._affinity_key = cache.affinity_key(route.affinity)
        self._excluded = tuple(map(compile_condition, route.excluded))
        self._goals = cache.goals(route.goals)
        self._mirror = mirror_of(route)
        unchanged = before is not None and before.route.rules is route.rules
        self.rule_index = before.rule_index if before is not None and unchanged else cache.rule_index(route.rules)
        self._caches = caches_of(route, self.rule_index)
        self._by_rule: dict[str, TrafficSplit] = {}
        self._by_weight = self._split(WEIGHT)
        self._by_key = self._split(AFFINITY) if self._affinity_key is not None else self._by_weight
        self._unanalysed_by_weight = self._split(WEIGHT, False) if route.excluded else self._by_weight
        self._unanalysed_by_key = self._split(AFFINITY, False) if route.excluded else self._by_key
        self.stable, self.canary = self._by_weight.above, self._by_weight.below
        goals, caches = self._goals, self._caches
        self._aborted = VersionChoice(route, route.stable, ABORT, analysed=False, goals=goals, caches=caches)

    def __repr__(self) -> str:
        return f"<CompiledRoute {self.route.name} weight {self.weight}, {self.rule_index!r}>"

    def split_for(self, request: RequestView, rng: Rng) -> tuple[TrafficSplit, ClientKey | None]:
        """The split of a request, and the client's key if it is needed. `rng` generates the key of a new client."""
        indexed = self.rule_index.first_match(request) if self.rule_index.rules else None
        if indexed is not None:
            rule = indexed.rule
            if not self._canary_off or (rule.preview and rule.to == "canary"):
                split = self.split_of_rule(rule)
                return split, None if split.certain and not rule.analyse else self._key(request, rng)
        if self._canary_off:
            matched = None if indexed is None else indexed.rule
            return TrafficSplit(self._aborted, self._aborted, 0, self.split, self.salt, matched), None
        key = self._key(request, rng)
        if self._excluded and self._excludes(request):
            return self._unanalysed_by_weight if key is None else self._unanalysed_by_key, key
        return self._by_weight if key is None else self._by_key, key

    def split_of_rule(self, rule: Rule) -> TrafficSplit:
        """The split of requests that `rule` decides."""
        split = self._by_rule.get(rule.name)
        if split is None:
            route, reason = self.route, f"rule:{rule.name}"
            preview = rule.preview and rule.to == "canary"
            stable, canary = self._choices(reason, rule.analyse, preview)
            to, other = (canary, stable) if rule.to == "canary" else (stable, canary)
            salt = salt_of(f"{route.salt or route.name}/{rule.name}")
            split = self._by_rule[rule.name] = TrafficSplit(to, other, rule.percent, (route.name, reason), salt, rule)
        return split

    def _split(self, reason: str, analysed: bool = True) -> TrafficSplit:
        stable, canary = self._choices(reason, analysed, False)
        return TrafficSplit(canary, stable, self.weight, self.split, self.salt, single=self.stable_only)

    def _choices(self, reason: str, analysed: bool, preview: bool) -> tuple[VersionChoice, VersionChoice]:
        return build_choices(self.route, reason, analysed, preview, self._goals, self._mirror, self._caches)

    def _excludes(self, request: RequestView) -> bool:
        return any(matcher.matches(request) for matcher in self._excluded)

    def _key(self, request: RequestView, rng: Rng) -> ClientKey | None:
        return None if self._affinity_key is None else self._affinity_key.key(request, rng)


def build_choices(
    route: Route,
    reason: str,
    analysed: bool = True,
    preview: bool = False,
    goals: GoalRecogniser | None = None,
    mirror: VersionChoice | None = None,
    caches: CacheAdvisor | None = None,
) -> tuple[VersionChoice, VersionChoice]:
    """The choices for stable and canary, each with the other version as fallback where the route allows it; without a
    canary both are the same. `preview` applies to requests sent to the canary, not to those that only fall back to it.
    """
    choice = functools.partial(VersionChoice, route, reason=reason, analysed=analysed)
    if route.canary is None:
        return (choice(route.stable, goals=goals, caches=caches),) * 2
    spare_stable, spare_canary = choice(route.stable), choice(route.canary)
    to_canary = spare_canary if "stable" in route.fallback and not route.aborted else None
    to_stable = spare_stable if "canary" in route.fallback else None
    shield = None if route.shield is None else spare_stable
    return (
        choice(route.stable, fallback=to_canary, goals=goals, mirror=mirror, caches=caches),
        choice(route.canary, preview=preview, fallback=to_stable, shield=shield, goals=goals, caches=caches),
    )


def caches_of(route: Route, rule_index: RuleIndex) -> CacheAdvisor | None:
    """The cache advisor of a route; None where every request gets the same version and no cookie."""
    if route.canary is None:
        return None
    aborted = route.aborted
    names = names_of(rule_index.vary_summary(aborted=aborted), route.weight, route.affinity, aborted=aborted)
    sets_cookie = route.affinity is not None and route.affinity.by == "cookie"
    return CacheAdvisor(names, route.caching) if names or sets_cookie else None


def mirror_of(route: Route) -> VersionChoice | None:
    """The choice for mirrored copies of requests; None without a mirror, and while the canary is aborted."""
    if route.canary is None or route.mirror is None or not route.mirror.percent or route.aborted:
        return None
    return VersionChoice(route, route.canary, MIRROR, analysed=False)
