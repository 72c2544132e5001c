"""Distinct users of each version: in any part of the last hour, and since the last change of the weight. Pure.

A version has seen a user if a request of the user was decided for it, and failed the user if one such request failed.
Users are identified by a hash, so the same user is counted once although several workers report it.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from canaryproxy.model.report import Delta
from canaryproxy.telemetry.read.counters import Side
from canaryproxy.telemetry.record.distinct_users import MAX_KEPT, DistinctUsers, estimate, relative_error, stratum_of

# The longest window: one hour.
MAX_WINDOW_SECONDS = 3600

# The second in which each user was last seen, the oldest first.
SeenAt = OrderedDict[int, int]

NEVER: Mapping[int, int] = MappingProxyType({})


class SlidingCount:
    """The last second of each user: exact for up to `most` users, beyond that of a sample."""

    __slots__ = ("_most", "_seconds", "_strata", "level")

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._strata: dict[int, SeenAt] = {}
        self._seconds: dict[int, Counter[int]] = {}
        self.level = 0

    def __repr__(self) -> str:
        return f"<SlidingCount: {sum(map(len, self._strata.values()))} kept, 1 in {2**self.level}>"

    def merge(self, users: Iterable[int], level: int, at: float) -> None:
        """Add users seen at `at`, from a sample of this level."""
        second = int(at)
        self._thin(level)
        for user in users:
            self._see(user, second)
        while sum(map(len, self._strata.values())) > self._most:
            self._thin(self.level + 1)
        self._forget(second - MAX_WINDOW_SECONDS)

    def _see(self, user: int, second: int) -> None:
        number = stratum_of(user)
        if number < self.level:
            return
        last = self._strata.get(number)
        if last is None:
            last = self._strata[number] = OrderedDict()
            self._seconds[number] = Counter()
        before = last.get(user)
        if before == second:
            return
        seconds = self._seconds[number]
        if before is not None:
            del last[user]
            second = max(second, before)
            self._less(seconds, before)
        last[user] = second
        seconds[second] += 1

    @staticmethod
    def _less(seconds: Counter[int], second: int) -> None:
        seconds[second] -= 1
        if not seconds[second]:
            del seconds[second]

    def _forget(self, until: int) -> None:
        for number, last in self._strata.items():
            while last and last[next(iter(last))] < until:
                self._less(self._seconds[number], last.popitem(last=False)[1])

    def _thin(self, level: int) -> None:
        while self.level < level:
            self._strata.pop(self.level, None)
            self._seconds.pop(self.level, None)
            self.level += 1

    def kept(self, now: float, window: float) -> int:
        """How many users of the sample were seen in the last `window` seconds."""
        last = int(now)
        wanted = range(last - int(window) + 1, last + 1)
        return sum(
            sum(seconds[second] for second in wanted)
            if len(wanted) < len(seconds)
            else sum(count for second, count in seconds.items() if second in wanted)
            for seconds in self._seconds.values()
        )

    def last(self, user: int) -> int:
        """The second in which a user was last seen; -1 for an unknown user."""
        return self._strata.get(stratum_of(user), NEVER).get(user, -1)


@dataclass(frozen=True, slots=True)
class UserCount:
    """A number of users; `error` is its relative standard error, 0 if it is exact."""

    count: int = 0
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Users of one version seen, and failed, for the first time in this weight period."""

    route: str
    version: str
    seen: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """The values of users' first events of a goal in this weight period."""

    route: str
    version: str
    goal: str
    values: tuple[float, ...]


UserDelta = NewUsers | FirstSeen


@dataclass(slots=True)
class WeightPeriod:
    """Users of both versions since the last change of the weight. Times on the clock of the deltas."""

    route: str
    weight: int
    since: float
    seen: dict[str, DistinctUsers] = field(default_factory=dict)
    failed: dict[str, DistinctUsers] = field(default_factory=dict)
    reached: dict[tuple[str, str], DistinctUsers] = field(default_factory=dict)

    def add(self, version: str, seen: Iterable[int], failed: Iterable[int], level: int) -> NewUsers:
        """Add users. Failures count only for users seen in this period: others belong to an earlier one."""
        here = self.seen.setdefault(version, DistinctUsers())
        fresh = _added(here, seen, level)
        bad = self.failed.setdefault(version, DistinctUsers())
        worse = _added(bad, (user for user in failed if user in here), here.level)
        return NewUsers(self.route, version, fresh, worse)

    def goal_reached(self, version: str, goal: str, users: Mapping[int, float], level: int) -> FirstSeen:
        """Add users with events of a goal, with their values."""
        here = self.seen.setdefault(version, DistinctUsers())
        there = self.reached.setdefault((version, goal), DistinctUsers())
        fresh = _added(there, (user for user in users if user in here), max(level, here.level))
        return FirstSeen(self.route, version, goal, tuple(users[user] for user in fresh))


def _added(here: DistinctUsers, users: Iterable[int], level: int) -> tuple[int, ...]:
    """Add users; returns those that are new and kept in the sample."""
    here.thin(level)
    fresh = [user for user in users if user not in here]
    here.merge(fresh, level)
    return tuple(user for user in fresh if user in here)


class UserRegistry:
    """The users of all versions of all routes, and the goals they reached."""

    def __init__(self) -> None:
        self._seen: dict[Side, SlidingCount] = {}
        self._failed: dict[Side, SlidingCount] = {}
        self._goals: dict[tuple[str, str, str], SlidingCount] = {}
        self._steps: dict[str, WeightPeriod] = {}

    def __repr__(self) -> str:
        return f"<UserRegistry of {len(self._steps)} routes>"

    def add(self, delta: Delta, weight_of: Callable[[str], int | None]) -> list[UserDelta]:
        """Add a worker's report; returns the changes of the weight periods. `weight_of` returns the current weight of a
        route in basis points, None for a removed route.
        """
        user_delta: list[UserDelta] = []
        for users in delta.users:
            side = users.route, users.version
            self._seen.setdefault(side, SlidingCount()).merge(users.seen, users.level, delta.at)
            self._failed.setdefault(side, SlidingCount()).merge(users.failed, users.level, delta.at)
            weight = weight_of(users.route)
            if weight is not None and users.weight == weight:
                step = self.weight_period(users.route, weight, delta.at)
                user_delta.append(step.add(users.version, users.seen, users.failed, users.level))
        for goal in delta.goals:
            if goal.users:
                user_delta += self.goal_reached((goal.route, goal.version, goal.goal), goal.users, goal.level, delta.at)
        return user_delta

    def goal_reached(
        self, goal: tuple[str, str, str], users: Mapping[int, float], level: int, at: float
    ) -> list[UserDelta]:
        """Add users with events of a goal (route, version, name); returns the changes of the weight period."""
        self._goals.setdefault(goal, SlidingCount()).merge(users, level, at)
        step = self._steps.get(goal[0])
        return [] if step is None else [step.goal_reached(*goal[1:], users, level)]

    def version_of(self, route: str, user: int) -> str | None:
        """The version that saw a user last; None for an unknown user."""
        books = {version: self._seen.get((route, version)) for version in ("stable", "canary")}
        last = {version: -1 if seen is None else seen.last(user) for version, seen in books.items()}
        latest = max(last, key=lambda version: last[version])
        return latest if last[latest] >= 0 else None

    def weight_period(self, route: str, weight: int, now: float) -> WeightPeriod:
        """The current weight period of a route; a new one if the weight has changed."""
        step = self._steps.get(route)
        if step is None or step.weight != weight:
            step = self._steps[route] = WeightPeriod(route, weight, now)
        return step

    def begin(self, route: str) -> None:
        """Start a new weight period of a route: its canary was replaced."""
        self._steps.pop(route, None)

    def retain(self, routes: Set[str]) -> None:
        """Drop routes that are no longer configured."""
        for book in (self._seen, self._failed):
            for side in [side for side in book if side[0] not in routes]:
                del book[side]
        for goal in [goal for goal in self._goals if goal[0] not in routes]:
            del self._goals[goal]
        for route in self._steps.keys() - routes:
            del self._steps[route]

    def seen(self, side: Side, now: float, window: float) -> UserCount:
        """Users that a version saw in the last `window` seconds, an hour at most."""
        return _user_count(self._seen.get(side), now, window)

    def failed(self, side: Side, now: float, window: float) -> UserCount:
        """Users with a failed request."""
        return _user_count(self._failed.get(side), now, window)

    def reached(self, goal: tuple[str, str, str], now: float, window: float) -> UserCount:
        """Users with an event of a goal."""
        return _user_count(self._goals.get(goal), now, window)


def _user_count(recent: SlidingCount | None, now: float, window: float) -> UserCount:
    if recent is None:
        return UserCount()
    kept = recent.kept(now, min(window, MAX_WINDOW_SECONDS))
    return UserCount(estimate(kept, recent.level), relative_error(kept, recent.level))
