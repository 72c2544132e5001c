"""Which messages a worker may send, and when. Pure.

A worker parses untrusted bytes and may be compromised, so only published names, counts that one worker can reach in the
time it reports (`RATE`), and a clock in step with ours are accepted. Anything else raises `OutOfBoundsError`, and the
worker is killed. Within the bounds a worker can lie about its own traffic.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

from canaryproxy.dataplane.failover import FALLBACK, SHIELD, WITHDRAWN
from canaryproxy.ipc.messages import Acknowledged, Drained, Introduction, Message
from canaryproxy.model.failure import Outcome
from canaryproxy.model.goal import MAX_VALUE
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, OpenRequests, UsersDelta
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.processes.known_names import KnownNames, RouteNames
from canaryproxy.telemetry.read.metrics import EVICTED, TURNED_AWAY
from canaryproxy.telemetry.record.distinct_users import MAX_KEPT
from canaryproxy.telemetry.record.histogram import MIN_VALUE, ZERO_BUCKET, value_bucket
from canaryproxy.telemetry.record.logarithm import MAX_SECONDS, MIN_SECONDS, bucket_of

# Counts that a worker can report for each second. A request of a new user that reaches a goal makes fifty; a worker
# serves a few ten thousand requests a second at most.
RATE = 10_000_000.0

# Counts that one user, and one event of a goal, stand for: processing them is that much more expensive.
USER = 10.0
EVENT = 20.0

# Goals of a route that one request can reach in this estimate.
GOALS = 10

# Cells, user sets, goals or mirrors of one report; longer reports are sent in parts (`ipc.codec.ENTRIES`).
ENTRIES = 2**13

# Exchanges that one worker can have open: the maximum of descriptors of a process (fs.nr_open).
OPEN = 2**20

# Bytes that the buffers of one worker can hold; the value for "no limit".
MAX_BYTES = 2**62

# Smallest size of a sample of users: when it exceeds `MAX_KEPT`, half of it is dropped.
SAMPLED = 2 * MAX_KEPT // 5

# Levels of a sample: users are 64-bit numbers.
MAX_LEVEL = 64

# Seconds that a report's time may lie in the future; both processes read the same clock.
MAX_AHEAD_SECONDS = 1.0

# Messages allowed in a burst, per second, and per table. A worker sends four a second unasked, and two per table.
BURST = 1000.0
MESSAGES = 100.0
ANSWERS = 3.0

# Characters of a text field of the introduction.
MAX_TEXT_LENGTH = 4096

OUTCOMES: frozenset[str] = frozenset(map(str, Outcome))
RESCUES: frozenset[str] = frozenset((FALLBACK, SHIELD, WITHDRAWN))
STATUSES: frozenset[int] = frozenset(range(100, 600))
BUCKETS: frozenset[int] = frozenset(range(bucket_of(MIN_SECONDS), bucket_of(MAX_SECONDS) + 1))
VALUES: frozenset[int] = frozenset((ZERO_BUCKET, *range(value_bucket(MIN_VALUE), value_bucket(MAX_VALUE) + 1)))

# The allowed keys of each kind of counts, and their description.
ALLOWED: dict[str, tuple[frozenset[int] | frozenset[str], str]] = {
    "outcomes": (OUTCOMES, "names of outcomes"),
    "retried": (OUTCOMES, "names of outcomes"),
    "rescues": (RESCUES, "kinds of rescues"),
    "codes": (STATUSES, "statuses from 100 to 599"),
    "replies": (STATUSES, "statuses from 100 to 599"),
    "refused": (STATUSES, "statuses from 100 to 599"),
    "turned_away": (frozenset(TURNED_AWAY), f"reasons: {', '.join(TURNED_AWAY)}"),
    "evicted": (frozenset(EVICTED), f"reasons: {', '.join(EVICTED)}"),
    "latency": (BUCKETS, f"buckets from {min(BUCKETS)} to {max(BUCKETS)}"),
    "duration": (BUCKETS, f"buckets from {min(BUCKETS)} to {max(BUCKETS)}"),
    "connect": (BUCKETS, f"buckets from {min(BUCKETS)} to {max(BUCKETS)}"),
    "values": (VALUES, f"{ZERO_BUCKET} or buckets from {min(VALUES - {ZERO_BUCKET})} to {max(VALUES)}"),
}

# Characters of an invalid value that are shown.
SHOWN = 80


class OutOfBoundsError(Exception):
    """A message no worker of ours would send: the field, its value, and the allowed values."""

    def __init__(self, field: str, found: object, allowed: str) -> None:
        super().__init__(f"{field} is {shown(found)}, allowed: {allowed}")


def shown(found: object) -> str:
    """A value for a log line: escaped and shortened."""
    text = ascii(found)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


class WorkerMessageValidator:
    """Validates the messages of a worker that started with generation `began` at time `at` (clock of the deltas)."""

    def __init__(self, known_names: KnownNames, began: int, at: float) -> None:
        self._known_names = known_names
        self._acknowledged = began
        self._newest = began
        self._first = int(at) - 1
        self._at = at
        self._room = RATE
        self._messages = BURST
        self._heard = at
        self._introduced = self._serves = self._draining = self._drained = False

    def __repr__(self) -> str:
        return f"<WorkerMessageValidator at generation {self._acknowledged}>"

    # What we say.

    def published(self, generation: int) -> None:
        """Another table was sent to the worker."""
        self._newest = generation
        self._messages += ANSWERS

    def draining(self) -> None:
        """`Drain` was sent to the worker."""
        self._draining = True

    # What it says.

    def check(self, message: Message, now: float, floor: float = -math.inf) -> None:
        """Check a message received at `now`; a report's time must not be before `floor`. Raises `OutOfBoundsError`."""
        self._count_message(now)
        if isinstance(message, Introduction):
            self._introduce(message)
        elif not self._introduced:
            raise OutOfBoundsError("the first message", type(message).__name__, "an introduction")
        elif self._drained:
            raise OutOfBoundsError("a message after the last one", type(message).__name__, "none")
        elif isinstance(message, Delta):
            self._report(message, now, floor)
        elif isinstance(message, Acknowledged):
            self._acknowledge(message.generation)
        elif isinstance(message, Drained):
            self._end(message.cut)
        else:
            raise OutOfBoundsError("a message", type(message).__name__, "those of workers")

    def _count_message(self, now: float) -> None:
        # A token bucket; a table that was just sent may raise the level above BURST.
        passed, self._heard = max(now - self._heard, 0.0), now
        self._messages = min(self._messages + passed * MESSAGES, max(self._messages, BURST)) - 1
        if self._messages < 0:
            raise OutOfBoundsError("messages", f"more than {BURST:,.0f} at once", f"{MESSAGES:g} a second")

    def _introduce(self, introduction: Introduction) -> None:
        if self._introduced:
            raise OutOfBoundsError("an introduction", "a second one", "one, at the beginning")
        for name in ("version", "why", "package", "python"):
            text = getattr(introduction, name)
            if len(text) > MAX_TEXT_LENGTH or not text.isprintable():
                raise OutOfBoundsError(f"{name} of the introduction", text, f"{MAX_TEXT_LENGTH} printable characters")
        self._introduced = True

    def _acknowledge(self, generation: int) -> None:
        """Generations must rise after the first acknowledgement."""
        least = self._acknowledged + self._serves
        within("the generation acknowledged", generation, least, self._newest)
        self._acknowledged, self._serves = generation, True
        if generation == self._newest:
            self._messages = min(self._messages, BURST)

    def _end(self, cut: int) -> None:
        if not self._draining:
            raise OutOfBoundsError("an end of draining", cut, "after `Drain`, once")
        within("exchanges cut", cut, 0, OPEN)
        self._drained = True

    def _report(self, delta: Delta, now: float, floor: float) -> None:
        if not self._serves:
            raise OutOfBoundsError("a report", "one before it serves", "after the first acknowledgement")
        within("generation", delta.generation, self._acknowledged, self._newest)
        since = self._at
        if not max(since, floor) <= delta.at <= now + MAX_AHEAD_SECONDS:
            raise OutOfBoundsError("at", delta.at, f"{max(since, floor):.3f} to {now + MAX_AHEAD_SECONDS:.3f}")
        if delta.at > since:
            # Room left over by earlier reports counts for one second at most.
            self._room = min(self._room, RATE) + RATE * (delta.at - since)
            self._at = delta.at
        self._room -= self._spent(delta)

    def _spent(self, delta: Delta) -> float:
        """The sum of all counts of a valid report."""
        check = DeltaValidator(self._known_names, self._first, int(delta.at) + 1)
        for name in ("cells", "users", "goals", "mirrors"):
            if len(getattr(delta, name)) > ENTRIES:
                raise OutOfBoundsError(f"the length of {name}", len(getattr(delta, name)), f"at most {ENTRIES}")
        for cell in delta.cells:
            check.cell(cell)
        for users in delta.users:
            check.users(users)
        for goal in delta.goals:
            check.goal(goal)
        for mirror in delta.mirrors:
            check.words(mirror.route)
            check.number("sent", mirror.sent)
            check.number("dropped", mirror.dropped)
            check.counts("outcomes", mirror.outcomes)
        check.counts("refused", delta.refused)
        check.counts("turned_away", delta.turned_away)
        check.counts("evicted", delta.evicted)
        check.standing(delta)
        if check.spent > self._room:
            raise OutOfBoundsError("the sum of all counts", int(check.spent), f"at most {int(self._room)} by then")
        return check.spent


@dataclass(slots=True, eq=False)
class DeltaValidator:
    """Validates one report, whose requests began in seconds `first` to `last`. `spent` is the sum of all counts."""

    _known_names: KnownNames
    _first: int
    _last: int
    spent: float = 0.0

    def __repr__(self) -> str:
        return f"<DeltaValidator: {self.spent} spent>"

    def number(self, field: str, count: int) -> None:
        """Check and add a count."""
        if count < 0:
            raise OutOfBoundsError(field, count, "no negative number")
        self.spent += count

    def counts(self, field: str, counts: Mapping[int, int] | Mapping[str, int]) -> None:
        """Check and add counts by key."""
        allowed, words = ALLOWED[field]
        if not allowed.issuperset(counts):
            raise OutOfBoundsError(f"a key of {field}", next(key for key in counts if key not in allowed), words)
        numbers = counts.values()
        if numbers and min(numbers) < 0:
            raise OutOfBoundsError(field, min(numbers), "no negative number")
        self.spent += sum(numbers)

    def words(self, route: str) -> RouteNames:
        """The known names of a route."""
        words = self._known_names.routes.get(route)
        if words is None:
            raise OutOfBoundsError("route", route, "routes that were published")
        return words

    def side(self, route: str, version: str) -> RouteNames:
        """The known names of a route that has this version."""
        words = self.words(route)
        if version not in words.endpoints:
            raise OutOfBoundsError(f"version of route {shown(route)}", version, ", ".join(words.endpoints))
        return words

    def key(self, key: CounterKey, second: int) -> None:
        """Check a decision and its second."""
        names, route = self.side(key.route, key.version), key.route
        if key.endpoint not in names.endpoints[key.version]:
            raise OutOfBoundsError(f"endpoint of route {shown(route)}", key.endpoint, "endpoints that were published")
        if key.reason not in KnownNames.REASONS and key.reason not in names.rules:
            raise OutOfBoundsError(f"reason of route {shown(route)}", key.reason, "rules that were published")
        if not self._first <= second <= self._last:
            raise OutOfBoundsError("second", second, f"{self._first} to {self._last}")

    def cell(self, cell: CounterDelta) -> None:
        """Check the counts of one decision and second. Most are empty."""
        self.key(cell.key, cell.second)
        self.number("starts", cell.starts)
        for field, counts in (
            ("outcomes", cell.outcomes),
            ("codes", cell.codes),
            ("duration", cell.duration),
            ("latency", cell.latency),
            ("connect", cell.connect),
            ("retried", cell.retried),
            ("rescues", cell.rescues),
            ("replies", cell.replies),
        ):
            if counts:
                self.counts(field, counts)
        if cell.ejections:
            self.number("ejections", cell.ejections)

    def users(self, users: UsersDelta) -> None:
        """Check the users of one version."""
        self.side(users.route, users.version)
        within("weight", users.weight, 0, FULL_WEIGHT)
        self.sample("users seen", users.seen, users.level)
        self.sample("users failed", users.failed, users.level)
        sampled(max(len(users.seen), len(users.failed)), users.level)

    def sample(self, field: str, users: Set[int], level: int, goals: int = 1) -> None:
        """Check a sample of users of this level, each of whom may be reported for so many goals."""
        within("level", level, 0, MAX_LEVEL)
        if users:
            within(f"the number of {field}", len(users), 0, MAX_KEPT)
            within(f"the least of {field}", min(users), 0, 2**64 - 1)
            within(f"the greatest of {field}", max(users), 0, 2 ** (64 - level) - 1)
            self.spent += (len(users) << level) * USER / goals

    def goal(self, goal: GoalDelta) -> None:
        """Check the events of one goal."""
        words = self.side(goal.route, goal.version)
        if goal.goal not in words.goals:
            raise OutOfBoundsError(f"goal of route {shown(goal.route)}", goal.goal, "goals that were published")
        goals = max(min(len(words.goals), GOALS), 1)
        if goal.events < 0:
            raise OutOfBoundsError("events", goal.events, "no negative number")
        self.spent += goal.events * EVENT / goals
        self.counts("values", goal.values)
        if sum(goal.values.values()) != goal.events:
            raise OutOfBoundsError("the sum of values", sum(goal.values.values()), f"that of events, {goal.events}")
        most = MAX_VALUE * goal.events * (1 + 1e-9)
        within("value", goal.value, 0.0, most)
        self.sample("users of a goal", goal.users.keys(), goal.level, goals)
        sampled(len(goal.users), goal.level)
        if goal.users:
            within("the number of users of a goal", len(goal.users), 0, goal.events)
            within("the sum of users' values", sum(goal.users.values()), 0.0, most)
            within("the least of users' values", min(goal.users.values()), 0.0, most)

    def standing(self, delta: Delta) -> None:
        """Check the gauges."""
        for field, by_side in (("in_flight", delta.in_flight), ("tunnels", delta.tunnels)):
            for route, version in by_side:
                self.side(route, version)
            numbers(field, by_side)
        self.overdue(delta.overdue)
        within("held", delta.held, 0, MAX_BYTES)
        within("room", delta.room, 0, MAX_BYTES)
        within("shed", delta.shed, 0, OPEN)
        if delta.ejected and not delta.ejected <= self._known_names.authorities:
            odd = next(one for one in delta.ejected if one not in self._known_names.authorities)
            raise OutOfBoundsError("an endpoint in ejected", odd, "endpoints that were published")

    def overdue(self, waiting: tuple[OpenRequests, ...]) -> None:
        """Check the requests without a response."""
        count = 0
        for one in waiting:
            self.key(one.key, one.second)
            within("count of overdue", one.count, 0, OPEN)
            count += one.count
        within("the sum of overdue", count, 0, OPEN)


def within(field: str, number: float, least: float, most: float) -> None:
    """Check that a number is in the range; NaN is not."""
    if not least <= number <= most:
        allowed = f"{least:,.10g} to {most:,.10g}" if most < 2**53 else f"{least} to {most}"
        raise OutOfBoundsError(field, number, allowed)


def numbers(field: str, counts: Mapping[tuple[str, str], int]) -> None:
    """Check counts of open things by route and version."""
    if counts:
        if min(counts.values()) < 0:
            raise OutOfBoundsError(field, min(counts.values()), "no negative number")
        within(f"the sum of {field}", sum(counts.values()), 0, OPEN)


def sampled(count: int, level: int) -> None:
    """Check that so many users can be a sample of this level: small sets are not sampled."""
    if level and count < SAMPLED:
        raise OutOfBoundsError("level", level, f"0 for {count} users; at least {SAMPLED} are a sample")
