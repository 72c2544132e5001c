"""What a worker reports upwards: counts since the last report, mergeable by addition.

The border between the planes is two verbs and two types: `publish(RoutingTable)` down and `deltas()`
up. Counts are kept per second of a request's start, so a judge can compare cohorts that started
together although they end at different times. Seconds are whole seconds of the monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class CounterKey(NamedTuple):
    """What counts are split by. `analysed` is False for requests decided by a rule."""

    route: str
    version: str
    endpoint: str
    reason: str
    analysed: bool


@dataclass(frozen=True, slots=True)
class CounterDelta:
    """New counts of one key and one second of start. After a change of tables there may be two with the same key and
    second in one report: they add up.

    `outcomes` has one for each exchange, that of its first attempt, which is what the version is judged by.
    `retried` are those of other attempts: lost to the keep-alive race and repeated, which the version never saw,
    or made at another endpoint after the first one failed. Both are keyed by the values of `Outcome`. `codes`
    are the statuses that clients got. `latency` holds the judged latency of the version (request head complete
    to last upstream byte, less the time the client kept us paused and the opening of a connection),
    `duration` what clients saw, `connect` the opening of upstream connections; all three as bucket index ->
    count (`telemetry.histogram`). `replies` are the statuses from 400 on that the version itself gave to first
    attempts, the client may have got another one. `rescues` counts by kind the requests that the other version
    answered, `ejections` the times that an endpoint was ejected after failures of this version.
    """

    key: CounterKey
    second: int
    starts: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    retried: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[int, int] = field(default_factory=dict)
    latency: Mapping[int, int] = field(default_factory=dict)
    duration: Mapping[int, int] = field(default_factory=dict)
    connect: Mapping[int, int] = field(default_factory=dict)
    rescues: Mapping[str, int] = field(default_factory=dict)
    ejections: int = 0
    replies: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenRequests:
    """Requests that wait for the version's response, as they stand at the time of the report (not a difference)."""

    key: CounterKey
    second: int
    count: int


@dataclass(frozen=True, slots=True)
class UsersDelta:
    """Affinity users seen and failed since the last report, as hashes of 64 bits. None for a route without affinity:
    without a key there is no user to tell apart.

    `weight` is that of the table they were decided by, in basis points. Where there were too many, only those below
    2^(64 - `level`) are reported, one in 2^`level`.
    """

    route: str
    version: str
    weight: int
    level: int = 0
    seen: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class GoalDelta:
    """Business events of one goal since the last report; none where a route has no goals. `analysed` is False for
    requests decided by a rule; `values` is bucket -> count of the single events (`telemetry.histogram.value_bucket`);
    `users` are those who had one with the sum of theirs, reported as in `UsersDelta`.
    """

    route: str
    version: str
    goal: str
    analysed: bool
    events: int
    value: float
    values: Mapping[int, int] = field(default_factory=dict)
    level: int = 0
    users: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MirrorDelta:
    """Copies of one route's requests since the last report: `sent` to the canary, `dropped` before, and what became of
    those that ended either way, by the values of `Outcome`.
    """

    route: str
    sent: int = 0
    dropped: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delta:
    """One worker's report. `refused` counts answers of our own given before any decision, by code; `turned_away` client
    connections that were not let in, `evicted` those that were closed to make room, by reason.

    As they stand at the time of the report: exchanges `in_flight` and `tunnels` open by route and version, `ejected`
    endpoints, and `held` of the `room` bytes that buffers may hold. `shed` connections were cut for want of that since.
    """

    generation: int
    at: float
    cells: tuple[CounterDelta, ...] = ()
    overdue: tuple[OpenRequests, ...] = ()
    users: tuple[UsersDelta, ...] = ()
    goals: tuple[GoalDelta, ...] = ()
    mirrors: tuple[MirrorDelta, ...] = ()
    refused: Mapping[int, int] = field(default_factory=dict)
    tunnels: Mapping[tuple[str, str], int] = field(default_factory=dict)
    ejected: frozenset[str] = frozenset()
    in_flight: Mapping[tuple[str, str], int] = field(default_factory=dict)
    turned_away: Mapping[str, int] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    held: int = 0
    room: int = 0
    shed: int = 0
