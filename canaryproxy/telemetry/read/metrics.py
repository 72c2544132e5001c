"""The metric families for Prometheus, built with prometheus-client. Pure; `exposition` renders them.

Every series of a route exists, at 0, as soon as the route does. Label values come from the configuration only.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from canaryproxy.model.failure import Outcome
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.read.counters import Counters, Side, VersionSums
from canaryproxy.telemetry.read.window import Window
from canaryproxy.telemetry.record.histogram import classic, total_seconds

# Status codes whose series exist before the first such response.
CODES = (200, 500)
REJECTED_CODES = (400, 404, 503)

# Reasons why client connections are refused and closed.
TURNED_AWAY = ("address", "files", "full")
EVICTED = ("files", "full", "handshakes", "memory")

# Conditions of the stored state, as in `control.route_states`.
CONDITIONS = ("ok", "unwritable", "unreadable", "too_new", "damaged")

PHASES = ("idle", "progressing", "paused", "baking", "succeeded", "rolled_back")
# Results of rollouts whose series exist before the first such rollout.
ENDED = (("succeeded", ""), ("rolled_back", "verdict"), ("rolled_back", "manual"), ("superseded", ""))

STATES = ("healthy", "unhealthy", "ejected", "unknown")
# Outcomes of mirrored copies whose series exist before the first such copy.
MIRROR_KINDS = ("error_5xx", "overflow", "success", "timeout")

RESCUES = ("fallback", "shield", "withdrawn")
# Kinds of admin requests that are limited.
READ_KINDS = ("history", "metrics", "read")

# Why a response to the proxy's own request is not read, as in `probes.http_client`.
OVERLOAD_REASONS = ("encoded", "framing", "head", "size")

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """Facts about a route beside its counters. `weight` is in basis points; `reasons` are all possible reasons of its
    decisions; `endpoints` returns their number by version and state; `goals` are names. `verdict` is 1 for pass, 0 for
    inconclusive, -1 for fail; `checks` maps a check to its evidence and threshold; `identity` is the rollout's id and
    the labels of stable and canary; `versions` are the names of the route's versions.
    """

    name: str
    weight: int
    reasons: tuple[str, ...]
    endpoints: Callable[[], Mapping[tuple[str, str], int]]
    goals: tuple[str, ...] = ()
    verdict: int = 0
    checks: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    phase: str = "idle"
    step: int | None = None
    ended: Mapping[tuple[str, str], int] = field(default_factory=dict)
    identity: tuple[str, str, str] = ("", "", "")
    versions: tuple[str, ...] = ("stable", "canary")


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """Connections open to the control plane's listeners, and those dropped, by listener and reason."""

    connections: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """Facts about the instance. `now` is read from the clock of the deltas; `connections` is the limit on client
    connections; `certificates` maps (role, place, file) to the expiry in seconds since 1970. `refused_readers` counts
    by kind of request, `refused_answers` by reason.
    """

    routes: Sequence[RouteFacts]
    counters: Counters
    window: Window
    now: float
    workers: int
    restarts: int
    generation: int
    reloaded: bool
    build: dict[str, str]
    buckets: Sequence[float]
    state: str = "ok"
    certificates: Sequence[tuple[tuple[str, str, str], float]] = ()
    connections: int = 0
    refused_readers: Mapping[str, int] = field(default_factory=dict)
    refused_answers: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    listeners: ListenerFacts = field(default_factory=ListenerFacts)


def instance_families(facts: InstanceFacts) -> Iterator[Metric]:
    """The families that belong to no route."""
    counters, gauge, counter = facts.counters, _single_gauge, _single_counter
    yield gauge("workers", "Workers that serve.", facts.workers)
    yield counter("worker_restarts", "Workers that died and were replaced.", facts.restarts)
    text = "Workers killed and replaced because a report was malformed, out of bounds or could not be recorded."
    yield _by_label(CounterMetricFamily, "worker_reports_refused", text, "reason", facts.refused)
    yield gauge("max_connections", "Limit on client connections open at one time.", facts.connections)
    yield from listener_families(facts.listeners)
    held, room, shed = counters.buffers
    yield gauge("buffer_bytes", "Bytes that buffers hold.", held)
    yield gauge("buffer_limit_bytes", "Bytes that buffers may hold.", room)
    yield counter("buffer_shed", "Connections closed because buffer memory ran out.", shed)
    yield gauge("generation", "Generation of the routing table.", facts.generation)
    yield gauge("config_reload_success", "Whether the last configuration read was valid.", facts.reloaded)
    text = "Condition of the stored state: 1 for the current one, else 0."
    conditions = {condition: int(condition == facts.state) for condition in CONDITIONS}
    yield _by_label(GaugeMetricFamily, "state_condition", text, "condition", conditions)
    yield gauge("routes", "Routes configured.", len(facts.routes))
    yield from connection_families(counters)
    text = "Requests to the admin API and the probes rejected at a concurrency limit."
    yield _by_label(CounterMetricFamily, "admin_refused", text, "what", facts.refused_readers, READ_KINDS)
    text = "Responses to the proxy's own requests that were too large or too malformed to be read."
    yield _by_label(CounterMetricFamily, "answers_refused", text, "why", facts.refused_answers, OVERLOAD_REASONS)
    text = "Expiry of a certificate file in seconds since 1970; of a file of authorities, the latest one."
    labels: Labels = ("role", "place", "file")
    yield _filled(GaugeMetricFamily, "certificate_expiry_timestamp_seconds", text, labels, facts.certificates)
    text, build = "Version and mode of this instance; always 1.", facts.build
    yield _filled(GaugeMetricFamily, "build_info", text, tuple(build), [(tuple(build.values()), 1)])


def connection_families(counters: Counters) -> Iterator[Metric]:
    """Requests answered without a decision, and client connections refused or closed to free capacity."""
    text = "Requests answered by ourselves before any version was decided on."
    refused = {str(code): counters.refused[code] for code in sorted({*REJECTED_CODES, *counters.refused})}
    yield _by_label(CounterMetricFamily, "rejected_requests", text, "code", refused)
    text, turned_away = "Client connections refused.", counters.turned_away
    yield _by_label(CounterMetricFamily, "connections_refused", text, "reason", turned_away, TURNED_AWAY)
    text, evicted = "Client connections closed to make room for others.", counters.evicted
    yield _by_label(CounterMetricFamily, "connections_evicted", text, "reason", evicted, EVICTED)


def listener_families(facts: ListenerFacts) -> Iterator[Metric]:
    """Connections to the control plane's own listeners: the admin API and the probes."""
    text = "Connections to the admin API, the probes port and the probes socket."
    yield _by_label(GaugeMetricFamily, "control_connections", text, "listener", facts.connections)
    text = "Connections to these listeners that were refused or closed, by reason."
    labels: Labels = ("listener", "reason")
    yield _filled(CounterMetricFamily, "control_connections_dropped", text, labels, facts.dropped.items())


_Kind = type[CounterMetricFamily] | type[GaugeMetricFamily]


def _filled(kind: _Kind, name: str, text: str, labels: Labels, samples: Samples) -> Metric:
    """A family with its samples."""
    family = kind(f"canaryproxy_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _single(kind: _Kind, name: str, text: str, value: float) -> Metric:
    return _filled(kind, name, text, (), [((), value)])


_single_gauge, _single_counter = partial(_single, GaugeMetricFamily), partial(_single, CounterMetricFamily)


def _by_label(
    kind: _Kind, name: str, text: str, label: str, counts: Mapping[str, int], always: Labels | None = None
) -> Metric:
    """A family with one label. With `always`, samples are sorted, and these values of the label always have one."""
    values = counts if always is None else sorted({*always, *counts})
    return _filled(kind, name, text, (label,), [((value,), counts.get(value, 0)) for value in values])


_Samples = Callable[[InstanceFacts, Sequence[RouteFacts]], Samples]
_Family = Callable[[InstanceFacts, Sequence[RouteFacts]], Metric]


def _sides(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Iterator[tuple[RouteFacts, Side, VersionSums]]:
    for route in routes:
        for version in route.versions:
            yield route, (route.name, version), facts.counters.sums(route.name, version)


def _canaries(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Iterator[tuple[RouteFacts, Side, VersionSums]]:
    return ((route, side, sums) for route, side, sums in _sides(facts, routes) if side[1] == "canary")


def _requests(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for _, side, sums in _sides(facts, routes):
        for code in sorted({*CODES, *sums.codes}):
            yield (*side, str(code)), sums.codes[code]


def _attempts(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for _, side, sums in _sides(facts, routes):
        for outcome in Outcome:
            yield (*side, outcome.value), sums.attempts[outcome]


def _decisions(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route, side, sums in _sides(facts, routes):
        for reason in dict.fromkeys((*route.reasons, *sums.decisions)):
            yield (*side, reason), sums.decisions[reason]


def _rescues(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route, _, canary in _canaries(facts, routes):
        kinds: Counter[str] = facts.counters.sums(route.name, "stable").rescues + canary.rescues
        for kind in sorted({*RESCUES, *kinds}):
            yield (route.name, kind), kinds[kind]


def _goals(value: Callable[[VersionSums, str], float]) -> _Samples:
    return lambda facts, routes: (
        ((*side, goal), value(sums, goal)) for route, side, sums in _sides(facts, routes) for goal in route.goals
    )


def _mirrored(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for _, side, sums in _canaries(facts, routes):
        for outcome in sorted({*MIRROR_KINDS, *sums.mirrored}):
            yield (*side, str(outcome)), sums.mirrored[outcome]


def _mirror(value: Callable[[VersionSums], float]) -> _Samples:
    return lambda facts, routes: ((side, value(sums)) for _, side, sums in _canaries(facts, routes))


def _sums(value: Callable[[VersionSums], float]) -> _Samples:
    return lambda facts, routes: ((side, value(sums)) for _, side, sums in _sides(facts, routes))


def _open(value: Callable[[Counters, Side], float]) -> _Samples:
    return lambda facts, routes: ((side, value(facts.counters, side)) for _, side, _ in _sides(facts, routes))


def _weight(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route, side, _ in _sides(facts, routes):
        yield side, (route.weight if side[1] == "canary" else FULL_WEIGHT - route.weight) / 100


def _observed(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route, side, _ in _sides(facts, routes):
        canary = facts.window.observed_weight(route.name, facts.now)
        if canary is not None:
            yield side, canary if side[1] == "canary" else 100 - canary


def _endpoints(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route in routes:
        counts = route.endpoints()
        for version in route.versions:
            for state in STATES:
                yield (route.name, version, state), counts.get((version, state), 0)


def _route(value: Callable[[RouteFacts], float], labels: Callable[[RouteFacts], Labels] = lambda _: ()) -> _Samples:
    return lambda facts, routes: (
        ((route.name, *labels(route)), value(route)) for route, _, _ in _canaries(facts, routes)
    )


def _step(route: RouteFacts) -> float:
    return -1 if route.step is None else route.step


def _phase(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route, _, _ in _canaries(facts, routes):
        for phase in PHASES:
            yield (route.name, phase), int(phase == route.phase)


def _ended(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Samples:
    for route in routes:
        for end in sorted({*(ENDED if "canary" in route.versions else ()), *route.ended}):
            yield (route.name, *end), route.ended.get(end, 0)


def _checks(which: int) -> _Samples:
    return lambda facts, routes: (
        ((route.name, check), value)
        for route, _, _ in _canaries(facts, routes)
        for check, pair in route.checks.items()
        if (value := pair[which]) is not None
    )


def _family(kind: _Kind, name: str, text: str, more: Labels, samples: _Samples) -> _Family:
    """A family of routes; `more` are the labels beside `route`."""
    return lambda facts, routes: _filled(kind, name, text, ("route", *more), samples(facts, routes))


def _histogram(name: str, text: str, counts: Callable[[VersionSums], Counter[int]]) -> _Family:
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = HistogramMetricFamily(f"canaryproxy_{name}", text, labels=("route", "version"))
        for _, side, sums in _sides(facts, routes):
            latency = counts(sums)
            family.add_metric(side, classic(latency, facts.buckets), total_seconds(latency))
        return family

    return make


_counter, _gauge = partial(_family, CounterMetricFamily), partial(_family, GaugeMetricFamily)
_VERSION, _GOAL, _ROLLOUT = ("version",), ("version", "goal"), ("rollout", "stable_version", "canary_version")

ROUTE_FAMILIES: tuple[_Family, ...] = (
    _counter("requests", "Requests by version decided and status sent.", ("version", "code"), _requests),
    _histogram("request_duration_seconds", "Complete request head to last byte sent.", attrgetter("duration")),
    _counter("attempts", "Attempts of each version, by outcome.", ("version", "outcome"), _attempts),
    _histogram("attempt_duration_seconds", "Judged latency of the version.", attrgetter("latency")),
    _counter("decisions", "Decisions by version and reason.", ("version", "reason"), _decisions),
    _counter("rescues", "Requests that the other version answered instead.", ("kind",), _rescues),
    _gauge("weight", "Share configured, percent.", _VERSION, _weight),
    _gauge("observed_weight", "Share of the decisions of the last minute, percent.", _VERSION, _observed),
    _gauge("in_flight", "Exchanges open now.", _VERSION, _open(Counters.in_flight)),
    _gauge("tunnels_open", "Tunnels (WebSocket) open now.", _VERSION, _open(Counters.tunnels)),
    _gauge("endpoints", "Endpoints by their state.", ("version", "state"), _endpoints),
    _counter("ejections", "Ejections of endpoints after failures.", _VERSION, _sums(attrgetter("ejections"))),
    _counter("goal_events", "Business events.", _GOAL, _goals(lambda sums, goal: sums.goal_events[goal])),
    _counter("goal_value", "Sum of event values.", _GOAL, _goals(lambda sums, goal: sums.goal_values.get(goal, 0.0))),
    _counter("mirror_requests", "Mirrored copies sent.", _VERSION, _mirror(attrgetter("mirror_sent"))),
    _counter("mirror_dropped", "Mirrored copies not sent.", _VERSION, _mirror(attrgetter("mirror_dropped"))),
    _counter("mirror_outcomes", "Mirrored copies by outcome.", ("version", "outcome"), _mirrored),
    _counter("retries", "Attempts made again.", _VERSION, _sums(attrgetter("retries"))),
    _gauge("verdict", "Of the canary: 1 pass, 0 inconclusive, -1 fail.", (), _route(attrgetter("verdict"))),
    _gauge("rollout_phase", "1 for the phase that the rollout is in, else 0.", ("phase",), _phase),
    _counter("rollouts", "Rollouts that have ended, by result and reason.", ("result", "reason"), _ended),
    _gauge("rollout_info", "Rollout, versions; always 1.", _ROLLOUT, _route(lambda _: 1, attrgetter("identity"))),
    _gauge("rollout_step", "The rollout's step, from 0 on; -1 without one.", (), _route(_step)),
    _gauge("check_value", "Evidence of each check that the canary is worse.", ("check",), _checks(0)),
    _gauge("check_threshold", "Evidence at which a check reaches a verdict.", ("check",), _checks(1)),
)
