"""Counting, on the request path: an exchange holds a `CounterCell` and adds to it; `flush` collects what is new.

A cell belongs to one decision and one second of start, so cohorts that began together stay together
however long they take. Exchanges outlive their second and the flushes: a cell that is counted into after a
flush puts itself back on the list of cells with news.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Outcome
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, MirrorDelta, OpenRequests, UsersDelta
from canaryproxy.telemetry.record.distinct_users import DistinctUsers, UserNumbers
from canaryproxy.telemetry.record.histogram import merge, value_bucket
from canaryproxy.telemetry.record.logarithm import bucket_of

# An open exchange is overdue once the clock's whole second exceeds its start second by this much. All exchanges that
# began in one second become overdue together, at an age of up to one second.
OVERDUE_SECONDS = 1

# Limit on the overdue entries of a report, and how many start seconds may be merged to keep it: a report has to fit
# into a frame even if exchanges of a hundred routes have waited for a minute.
MAX_OVERDUE = 8_192
COARSEST_SECONDS = 64

OK = 200
SUCCESS = Outcome.SUCCESS

NO_TUNNELS: Mapping[tuple[str, str], int] = MappingProxyType({})

# Shared empty counts, never changed: most cells count few kinds of events.
NO_COUNTS: dict[Any, int] = {}


def _count(counts: dict[Any, int], key: object, count: int = 1) -> dict[Any, int]:
    if counts is NO_COUNTS:
        return {key: count}
    counts[key] = counts.get(key, 0) + count
    return counts


class CounterCell:
    """Counts of one decision's exchanges that began in one second. Times in seconds.

    The usual exchange succeeds with 200, and its latency is its duration: it is counted once, by duration, and added to
    the other counts when a report is made (`fold`).
    """

    def __init__(self, key: CounterKey, second: int, dirty_cells: "list[CounterCell]") -> None:
        self.key = key
        self.second = second
        self._dirty_cells = dirty_cells
        self.clear()

    def __repr__(self) -> str:
        return f"<CounterCell {self.key} second {self.second}: {self.starts} starts>"

    def clear(self) -> None:
        """Start again after a report."""
        self.dirty = False
        self.starts = 0
        self._usual_durations: dict[int, int] = {}
        self.outcomes: dict[str, int] = NO_COUNTS
        self.retried: dict[str, int] = NO_COUNTS
        self.codes: dict[int, int] = NO_COUNTS
        self.latency: dict[int, int] = NO_COUNTS
        self.duration: dict[int, int] = NO_COUNTS
        self.connect: dict[int, int] = NO_COUNTS
        self.rescues: dict[str, int] = NO_COUNTS
        self.replies: dict[int, int] = NO_COUNTS
        self.ejections = 0

    def mark_dirty(self) -> None:
        """Add the cell to those to be reported."""
        if not self.dirty:
            self.dirty = True
            self._dirty_cells.append(self)

    def finish(self, outcome: Outcome, code: int, duration: float, latency: float | None) -> None:
        """Count an exchange: the outcome of its attempt, the client's status, the duration from the complete request
        head, and the judged latency or None.
        """
        if not self.dirty:
            self.mark_dirty()
        bucket = bucket_of(duration)
        self.outcomes = _count(self.outcomes, outcome)
        self.codes = _count(self.codes, code)
        self.duration = _count(self.duration, bucket)
        if latency is not None:
            if latency != duration:
                bucket = bucket_of(latency)
            self.latency = _count(self.latency, bucket)

    def succeed(self, duration: float) -> None:
        """Count a usual exchange."""
        if not self.dirty:
            self.mark_dirty()
        bucket = bucket_of(duration)
        usual = self._usual_durations
        usual[bucket] = usual.get(bucket, 0) + 1

    def fold(self) -> None:
        """Add the usual exchanges to the other counts."""
        usual, self._usual_durations = self._usual_durations, {}
        if usual:
            count = sum(usual.values())
            self.outcomes = _count(self.outcomes, SUCCESS, count)
            self.codes = _count(self.codes, OK, count)
            self.duration = merge(self.duration, usual) if self.duration else usual
            self.latency = merge(self.latency, usual) if self.latency else usual

    def repeat(self, outcome: Outcome) -> None:
        """Count an attempt beside the first: repeated after the keep-alive race, or made elsewhere after a failure."""
        self.mark_dirty()
        self.retried = _count(self.retried, outcome)

    def connected(self, seconds: float) -> None:
        """Count an opened connection to the endpoint."""
        self.mark_dirty()
        self.connect = _count(self.connect, bucket_of(seconds))

    def reply(self, status: int) -> None:
        """Count a status from 400 on that the version gave to a first attempt."""
        self.mark_dirty()
        self.replies = _count(self.replies, status)

    def rescue(self, kind: str) -> None:
        """Count a request that the other version answers."""
        self.mark_dirty()
        self.rescues = _count(self.rescues, kind)

    def eject(self) -> None:
        """Count an ejection of an endpoint of this version."""
        self.mark_dirty()
        self.ejections += 1


class NewUserSketch:
    """Users of one version since the last report, decided by one weight."""

    __slots__ = ("failed", "seen")

    def __init__(self) -> None:
        self.seen = DistinctUsers()
        self.failed = DistinctUsers()

    def report(self, route: str, version: str, weight: int) -> UsersDelta:
        """Both as samples of one level."""
        level = max(self.seen.level, self.failed.level)
        self.seen.thin(level)
        self.failed.thin(level)
        return UsersDelta(route, version, weight, level, self.seen.users(), self.failed.users())


class GoalCounter:
    """Events of one goal since the last report."""

    __slots__ = ("count", "sum_values", "users", "value", "values")

    def __init__(self) -> None:
        self.count = 0
        self.value = 0.0
        self.values: dict[int, int] = {}
        self.users = DistinctUsers()
        self.sum_values: dict[int, float] = {}

    def add(self, value: float, user: int) -> None:
        """Count an event; `user` is 0 without a user."""
        self.count += 1
        self.value += value
        bucket = value_bucket(value)
        self.values[bucket] = self.values.get(bucket, 0) + 1
        if user:
            self.users.add(user)
            self.sum_values[user] = self.sum_values.get(user, 0.0) + value

    def report(self, key: tuple[str, str, str, bool]) -> GoalDelta:
        """The events since the last report; many users as a sample."""
        users = {user: self.sum_values[user] for user in self.users.users()}
        return GoalDelta(*key, self.count, self.value, self.values, self.users.level, users)


class MirrorCounter:
    """Copies of one route's requests since the last report."""

    __slots__ = ("dropped", "outcomes", "sent")

    def __init__(self) -> None:
        self.sent = self.dropped = 0
        self.outcomes: dict[str, int] = {}


class Recorder:
    """The counters of one worker. Times are seconds of one monotonic clock. Users are given by their hash and numbered
    with the `secret` (`UserNumbers`).
    """

    def __init__(self, secret: bytes = b"") -> None:
        self._numbers = UserNumbers(secret)
        self._second = -1
        self._cells: dict[Decision, CounterCell] = {}
        self._dirty_cells: list[CounterCell] = []
        self._refused: dict[int, int] = {}
        self._turned_away: dict[str, int] = {}
        self._evicted: dict[str, int] = {}
        self._users: defaultdict[tuple[str, str, int], NewUserSketch] = defaultdict(NewUserSketch)
        self._seen: dict[Decision, DistinctUsers] = {}
        self._goals: defaultdict[tuple[str, str, str, bool], GoalCounter] = defaultdict(GoalCounter)
        self._mirrors: defaultdict[str, MirrorCounter] = defaultdict(MirrorCounter)

    def start(self, decision: Decision, now: float) -> CounterCell:
        """Count a started exchange; returns its cell."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._cells = {}
        cell = self._cells.get(decision)
        if cell is None:
            cell = self._cells[decision] = self._cell(decision, second)
        cell.starts += 1
        if not cell.dirty:
            cell.mark_dirty()
        return cell

    def _cell(self, decision: Decision, second: int) -> CounterCell:
        key = CounterKey(
            decision.route.name,
            decision.version.name,
            "" if decision.endpoint is None else decision.endpoint.authority,
            decision.reason,
            decision.analysed,
        )
        return CounterCell(key, second, self._dirty_cells)

    def refuse(self, code: int) -> None:
        """Count a response of ours without a decision."""
        self._refused[code] = self._refused.get(code, 0) + 1

    def connection_rejected(self, reason: str) -> None:
        """Count a refused client connection."""
        self._turned_away[reason] = self._turned_away.get(reason, 0) + 1

    def evict(self, reason: str) -> None:
        """Count a client connection closed to free capacity."""
        self._evicted[reason] = self._evicted.get(reason, 0) + 1

    def user_seen(self, decision: Decision, user: int) -> None:
        """Count the user of a decided request."""
        seen = self._seen.get(decision)
        if seen is None:
            seen = self._seen[decision] = self._sketch_of(decision).seen
        seen.add(self._numbers.of(user))

    def user_failed(self, decision: Decision, user: int) -> None:
        """Count the user of a failed request."""
        self._sketch_of(decision).failed.add(self._numbers.of(user))

    def _sketch_of(self, decision: Decision) -> NewUserSketch:
        return self._users[decision.route.name, decision.version.name, decision.route.weight]

    def goal_reached(self, decision: Decision, reached: Iterable[tuple[str, float]], user: int) -> None:
        """Count events (goal, value) for the version decided; `user` is 0 without a user."""
        for goal, value in reached:
            key = decision.route.name, decision.version.name, goal, decision.analysed
            self._goals[key].add(value, self._numbers.of(user) if user else 0)

    def mirror_sent(self, route: str) -> None:
        """Count a mirrored copy that was sent."""
        self._mirrors[route].sent += 1

    def mirror_dropped(self, route: str, outcome: Outcome) -> None:
        """Count a mirrored copy that was not sent."""
        self._mirrors[route].dropped += 1
        self.mirror_ended(route, outcome)

    def mirror_ended(self, route: str, outcome: Outcome) -> None:
        """Count the outcome of a mirrored copy."""
        outcomes = self._mirrors[route].outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def flush(
        self,
        generation: int,
        at: float,
        open_cells: Iterable[tuple[CounterCell, bool]],
        tunnels: Mapping[tuple[str, str], int] = NO_TUNNELS,
        ejected: frozenset[str] = frozenset(),
    ) -> Delta:
        """Everything new since the last flush; `open_cells` are those of the exchanges still running, with whether they
        wait for the version.
        """
        dirty_cells = tuple(_report(cell) for cell in self._dirty_cells)
        self._dirty_cells.clear()
        refused, self._refused = self._refused, {}
        turned_away, self._turned_away = self._turned_away, {}
        evicted, self._evicted = self._evicted, {}
        users = tuple(sketch.report(*key) for key, sketch in self._users.items())
        goals = tuple(events.report(key) for key, events in self._goals.items())
        mirrors = tuple(MirrorDelta(route, one.sent, one.dropped, one.outcomes) for route, one in self._mirrors.items())
        self._users.clear()
        self._seen.clear()
        self._goals.clear()
        self._mirrors.clear()
        still_open = list(open_cells)
        overdue = _overdue((cell for cell, waits in still_open if waits), int(at) - OVERDUE_SECONDS)
        in_flight = Counter((cell.key.route, cell.key.version) for cell, _ in still_open)
        return Delta(
            generation,
            at,
            cells=dirty_cells,
            overdue=overdue,
            refused=refused,
            tunnels=tunnels,
            ejected=ejected,
            in_flight=in_flight,
            users=users,
            goals=goals,
            mirrors=mirrors,
            turned_away=turned_away,
            evicted=evicted,
        )


def _report(cell: CounterCell) -> CounterDelta:
    cell.fold()
    times = cell.latency, cell.duration, cell.connect
    counts = cell.starts, cell.outcomes, cell.retried, cell.codes, *times, cell.rescues, cell.ejections, cell.replies
    delta = CounterDelta(cell.key, cell.second, *counts)
    cell.clear()
    return delta


def _overdue(cells: Iterable[CounterCell], latest: int) -> tuple[OpenRequests, ...]:
    counts: dict[tuple[CounterKey, int], int] = {}
    for cell in cells:
        if cell.second <= latest:
            counts[cell.key, cell.second] = counts.get((cell.key, cell.second), 0) + 1
    step = 1
    while len(counts) > MAX_OVERDUE and step < COARSEST_SECONDS:
        step *= 2
        counts = _coarsen(counts, step)
    return tuple(OpenRequests(key, second, count) for (key, second), count in counts.items())


def _coarsen(counts: dict[tuple[CounterKey, int], int], step: int) -> dict[tuple[CounterKey, int], int]:
    """Merge the exchanges of `step` seconds into the last of these seconds in which one began."""
    together: dict[tuple[CounterKey, int], tuple[int, int]] = {}
    for (key, second), count in counts.items():
        last, before = together.get((key, second // step), (second, 0))
        together[key, second // step] = max(last, second), before + count
    return {(key, last): count for (key, _), (last, count) in together.items()}
