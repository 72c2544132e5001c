"""The report of a worker: counts since the last report, mergeable by addition.

Counts are kept per second of a request's start, so a judge can compare cohorts that started together although they end
at different times. Seconds are whole seconds of the monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class CounterKey(NamedTuple):
    """The labels of counts. `analysed` is False for requests decided by a rule."""

    route: str
    version: str
    endpoint: str
    reason: str
    analysed: bool


@dataclass(frozen=True, slots=True)
class CounterDelta:
    """New counts of one key and one start second. After a change of tables a report may have two with the same key and
    second: they add up.

    `outcomes` counts first attempts, by which the version is judged; `retried` counts other attempts: repeated after
    the keep-alive race, or made at another endpoint after a failure. Both are keyed by values of `Outcome`. `codes` are
    the statuses sent to clients. `latency` is the judged latency of the version (complete request head to last upstream
    byte, without pauses by the client and the opening of a connection), `duration` the client's, `connect` the opening
    of upstream connections; all three as bucket -> count (`record.histogram`). `replies` are the version's own statuses
    from 400 on to first attempts. `rescues` counts requests that the other version answered by kind, `ejections`
    ejections of endpoints of this version.
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
    """Requests waiting for the version's response at the time of the report: a gauge, not a difference."""

    key: CounterKey
    second: int
    count: int


@dataclass(frozen=True, slots=True)
class UsersDelta:
    """Users with a key, seen and failed since the last report, as 64-bit numbers. None for a route without affinity.

    `weight` is that of the deciding table, in basis points. If there are too many users, only numbers below
    2^(64 - `level`) are reported: one in 2^`level`.
    """

    route: str
    version: str
    weight: int
    level: int = 0
    seen: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class GoalDelta:
    """Business events of one goal since the last report. `analysed` is False for requests decided by a rule; `values`
    is bucket -> count of events (`record.histogram.value_bucket`); `users` maps users to the sums of their values,
    sampled as in `UsersDelta`.
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
    """Mirrored copies of one route since the last report: `sent` to the canary, `dropped` before, and all ended copies
    by values of `Outcome`.
    """

    route: str
    sent: int = 0
    dropped: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delta:
    """One worker's report. `refused` counts responses of ours without a decision by status; `turned_away` and `evicted`
    count client connections refused and closed to free capacity, by reason; `shed` those closed to free buffer memory.

    Gauges: exchanges `in_flight` and `tunnels` by route and version, `ejected` endpoints, and bytes `held` by buffers,
    at most `room`.
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
