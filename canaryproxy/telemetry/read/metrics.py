"""The families that Prometheus gets, made with prometheus-client. Pure. `exposition` writes them down.

Series exist at 0 from the moment a route does. Labels come from the config alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.read.connection_metrics import connection_families
from canaryproxy.telemetry.read.counters import Counters, Side, VersionSums
from canaryproxy.telemetry.read.listener_metrics import ListenerFacts, listener_families
from canaryproxy.telemetry.read.window import Window
from canaryproxy.telemetry.record.histogram import classic, total_seconds

CODES = (200, 500)
"""Codes that have a series before the first of them was answered."""
CONDITIONS = ("ok", "unwritable", "unreadable", "too_new", "damaged")
"""Of the state; those of `control.ledger`."""

PHASES = ("idle", "progressing", "paused", "baking", "succeeded", "rolled_back")
ENDED = (("succeeded", ""), ("rolled_back", "verdict"), ("rolled_back", "manual"), ("superseded", ""))
"""Ends that have a series before the first of them."""

STATES = ("healthy", "unhealthy", "ejected", "unknown")
MIRROR_KINDS = ("error_5xx", "overflow", "success", "timeout")
"""Outcomes of copies that have a series before the first of them."""

RESCUES = ("fallback", "shield", "withdrawn")
READ_KINDS = ("history", "metrics", "read")
"""What readers of the admin API may be turned away from."""

OVERLOAD_REASONS = ("encoded", "framing", "head", "size")
"""Why an answer to a request of ours is not read; those of `control.calling`."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What the metrics say of a route beyond what was counted. `weight` in basis points; `reasons` are those that
    decisions may have; `endpoints` counts them by version and state when asked; `goals` are the names of those it has.
    `verdict` is 1 for pass, 0 for inconclusive, -1 for fail; `checks` have their evidence and its threshold; `identity`
    is the rollout's id and what stable and canary are called, as a label may have it. `versions`: those that it has.
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
class InstanceFacts:
    """What the metrics say of the instance. `now` is the moment, on the clock of the deltas; `connections` is how many
    clients are served at once, at most; `certificates` are files by (role, place, file) with the second since 1970 at
    which they end. `refused_readers` and `refused_answers` count by what was asked for, and by why.
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
    """Those of no route."""
    yield GaugeMetricFamily("canaryproxy_workers", "Workers that serve.", value=facts.workers)
    words = "Workers that died and were replaced."
    yield CounterMetricFamily("canaryproxy_worker_restarts", words, value=facts.restarts)
    words = "Workers killed and replaced for what they said: not understood, out of bounds, not to be filed."
    killed = CounterMetricFamily("canaryproxy_worker_reports_refused", words, labels=("reason",))
    for reason, count in facts.refused.items():
        killed.add_metric((reason,), count)
    yield killed
    words = "Client connections served at once, at most."
    yield GaugeMetricFamily("canaryproxy_max_connections", words, value=facts.connections)
    yield from listener_families(facts.listeners)
    held, room, shed = facts.counters.buffers
    yield GaugeMetricFamily("canaryproxy_buffer_bytes", "Bytes that buffers hold.", value=held)
    yield GaugeMetricFamily("canaryproxy_buffer_limit_bytes", "Bytes that buffers may hold.", value=room)
    yield CounterMetricFamily("canaryproxy_buffer_shed", "Connections cut for want of memory.", value=shed)
    yield GaugeMetricFamily("canaryproxy_generation", "Generation of the routing table.", value=facts.generation)
    words = "Whether the config holds up that was read last."
    yield GaugeMetricFamily("canaryproxy_config_reload_success", words, value=facts.reloaded)
    words = "How the state is kept: 1 for the condition that holds."
    state = GaugeMetricFamily("canaryproxy_state_condition", words, labels=("condition",))
    for condition in CONDITIONS:
        state.add_metric((condition,), condition == facts.state)
    yield state
    yield GaugeMetricFamily("canaryproxy_routes", "Routes configured.", value=len(facts.routes))
    yield from connection_families(facts.counters)
    yield _counted(
        "canaryproxy_admin_refused",
        "Readers of the admin API and the probes who were turned away.",
        "what",
        READ_KINDS,
        facts.refused_readers,
    )
    yield _counted(
        "canaryproxy_answers_refused",
        "Answers to our own requests that were too much to be read.",
        "why",
        OVERLOAD_REASONS,
        facts.refused_answers,
    )
    words = "When the certificates of a file end, in seconds since 1970; of authorities, the last of them."
    name = "canaryproxy_certificate_expiry_timestamp_seconds"
    expiry = GaugeMetricFamily(name, words, labels=("role", "place", "file"))
    for labels, ends in facts.certificates:
        expiry.add_metric(labels, ends)
    yield expiry
    build = GaugeMetricFamily("canaryproxy_build_info", "What runs here; always 1.", labels=tuple(facts.build))
    build.add_metric(tuple(facts.build.values()), 1)
    yield build


def _counted(name: str, words: str, label: str, always: tuple[str, ...], counts: Mapping[str, int]) -> Metric:
    """A counter by one label, of which some values are always there."""
    family = CounterMetricFamily(name, words, labels=(label,))
    for value in sorted({*always, *counts}):
        family.add_metric((value,), counts.get(value, 0))
    return family


def _sides(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Iterator[tuple[RouteFacts, Side, VersionSums]]:
    for route in routes:
        for version in route.versions:
            yield route, (route.name, version), facts.counters.sums(route.name, version)


def _with_canary(routes: Sequence[RouteFacts]) -> Iterator[RouteFacts]:
    return (route for route in routes if "canary" in route.versions)


def _requests(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_requests",
        "Requests answered, by the version decided and the status that the client got.",
        labels=("route", "version", "code"),
    )
    for _, side, sums in _sides(facts, routes):
        for code in sorted({*CODES, *sums.codes}):
            family.add_metric((*side, str(code)), sums.codes[code])
    return family


def _attempts(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_attempts", "What each version did with what it was asked.", labels=("route", "version", "outcome")
    )
    for _, side, sums in _sides(facts, routes):
        for outcome in Outcome:
            family.add_metric((*side, outcome.value), sums.attempts[outcome])
    return family


def _decisions(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_decisions", "Decisions by version and reason.", labels=("route", "version", "reason")
    )
    for route, side, sums in _sides(facts, routes):
        for reason in dict.fromkeys((*route.reasons, *sums.decisions)):
            family.add_metric((*side, reason), sums.decisions[reason])
    return family


def _rescues(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_rescues", "Requests that the other version answered instead.", labels=("route", "kind")
    )
    for route in _with_canary(routes):
        kinds: Counter[str] = Counter()
        for version in ("stable", "canary"):
            kinds.update(facts.counters.sums(route.name, version).rescues)
        for kind in sorted({*RESCUES, *kinds}):
            family.add_metric((route.name, kind), kinds[kind])
    return family


def _goals(name: str, words: str, value: Callable[[VersionSums, str], float]) -> "_Family":
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = CounterMetricFamily(f"canaryproxy_{name}", words, labels=("route", "version", "goal"))
        for route, side, sums in _sides(facts, routes):
            for goal in route.goals:
                family.add_metric((*side, goal), value(sums, goal))
        return family

    return make


def _mirror(name: str, words: str, value: Callable[[VersionSums], float]) -> "_Family":
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = CounterMetricFamily(f"canaryproxy_{name}", words, labels=("route", "version"))
        for route in _with_canary(routes):
            family.add_metric((route.name, "canary"), value(facts.counters.sums(route.name, "canary")))
        return family

    return make


def _mirrored(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_mirror_outcomes",
        "What became of copies: unavailable where there was no endpoint, overflow where there was no room.",
        labels=("route", "version", "outcome"),
    )
    for route in _with_canary(routes):
        mirrored = facts.counters.sums(route.name, "canary").mirrored
        for outcome in sorted({*MIRROR_KINDS, *mirrored}):
            family.add_metric((route.name, "canary", str(outcome)), mirrored[outcome])
    return family


def _counter(name: str, words: str, value: Callable[[VersionSums], float]) -> "_Family":
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = CounterMetricFamily(f"canaryproxy_{name}", words, labels=("route", "version"))
        for _, side, sums in _sides(facts, routes):
            family.add_metric(side, value(sums))
        return family

    return make


def _gauge(name: str, words: str, value: Callable[[InstanceFacts, RouteFacts, Side], float | None]) -> "_Family":
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = GaugeMetricFamily(f"canaryproxy_{name}", words, labels=("route", "version"))
        for route, side, _ in _sides(facts, routes):
            found = value(facts, route, side)
            if found is not None:
                family.add_metric(side, found)
        return family

    return make


def _weight(_: InstanceFacts, route: RouteFacts, side: Side) -> float:
    return (route.weight if side[1] == "canary" else FULL_WEIGHT - route.weight) / 100


def _observed(facts: InstanceFacts, route: RouteFacts, side: Side) -> float | None:
    canary = facts.window.observed_weight(route.name, facts.now)
    return canary if canary is None or side[1] == "canary" else 100 - canary


def _endpoints(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = GaugeMetricFamily(
        "canaryproxy_endpoints", "Endpoints by their state.", labels=("route", "version", "state")
    )
    for route in routes:
        counts = route.endpoints()
        for version in route.versions:
            for state in STATES:
                family.add_metric((route.name, version, state), counts.get((version, state), 0))
    return family


def _route(
    name: str,
    words: str,
    value: Callable[[RouteFacts], float],
    more: tuple[str, ...] = (),
    labels: Callable[[RouteFacts], tuple[str, ...]] = lambda _: (),
) -> "_Family":
    def make(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = GaugeMetricFamily(f"canaryproxy_{name}", words, labels=("route", *more))
        for route in _with_canary(routes):
            family.add_metric((route.name, *labels(route)), value(route))
        return family

    return make


def _phase(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = GaugeMetricFamily(
        "canaryproxy_rollout_phase", "1 for the phase that the rollout is in, else 0.", labels=("route", "phase")
    )
    for route in _with_canary(routes):
        for phase in PHASES:
            family.add_metric((route.name, phase), int(phase == route.phase))
    return family


def _ended(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
    family = CounterMetricFamily(
        "canaryproxy_rollouts", "Rollouts that have ended, how and why.", labels=("route", "result", "reason")
    )
    for route in routes:
        for result, reason in sorted({*(ENDED if "canary" in route.versions else ()), *route.ended}):
            family.add_metric((route.name, result, reason), route.ended.get((result, reason), 0))
    return family


def _checks(name: str, words: str, which: int) -> "_Family":
    def make(_: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = GaugeMetricFamily(f"canaryproxy_{name}", words, labels=("route", "check"))
        for route in _with_canary(routes):
            for check, pair in route.checks.items():
                value = pair[which]
                if value is not None:
                    family.add_metric((route.name, check), value)
        return family

    return make


def _histogram(name: str, words: str, counts: Callable[[VersionSums], Counter[int]]) -> "_Family":
    def make(facts: InstanceFacts, routes: Sequence[RouteFacts]) -> Metric:
        family = HistogramMetricFamily(f"canaryproxy_{name}", words, labels=("route", "version"))
        for _, side, sums in _sides(facts, routes):
            latency = counts(sums)
            family.add_metric(side, classic(latency, facts.buckets), total_seconds(latency))
        return family

    return make


_Family = Callable[[InstanceFacts, Sequence[RouteFacts]], Metric]

ROUTE_FAMILIES: tuple[_Family, ...] = (
    _requests,
    _histogram(
        "request_duration_seconds",
        "From the complete request head to the last response byte handed to the client's socket.",
        lambda sums: sums.duration,
    ),
    _attempts,
    _histogram(
        "attempt_duration_seconds",
        "The version's own time: without pauses of the client and the opening of connections.",
        lambda sums: sums.latency,
    ),
    _decisions,
    _rescues,
    _gauge("weight", "Share configured, percent.", _weight),
    _gauge("observed_weight", "Share of what was drawn in the last minute, percent.", _observed),
    _gauge("in_flight", "Exchanges open now.", lambda facts, _, side: facts.counters.in_flight(side)),
    _gauge("tunnels_open", "Tunnels (WebSocket) open now.", lambda facts, _, side: facts.counters.tunnels(side)),
    _endpoints,
    _counter("ejections", "Times an endpoint was ejected after failures.", lambda sums: sums.ejections),
    _goals("goal_events", "Business events.", lambda sums, goal: sums.goal_events[goal]),
    _goals("goal_value", "Sum of their values.", lambda sums, goal: sums.goal_values.get(goal, 0.0)),
    _mirror("mirror_requests", "Copies of stable's requests that were sent.", lambda sums: sums.mirror_sent),
    _mirror("mirror_dropped", "Copies that were not sent.", lambda sums: sums.mirror_dropped),
    _mirrored,
    _counter("retries", "Attempts made again.", lambda sums: sums.retries),
    _route("verdict", "Of the canary: 1 pass, 0 inconclusive, -1 fail.", lambda route: route.verdict),
    _phase,
    _ended,
    _route(
        "rollout_info",
        "Which rollout, of which versions; always 1.",
        lambda _: 1,
        ("rollout", "stable_version", "canary_version"),
        lambda route: route.identity,
    ),
    _route(
        "rollout_step",
        "The number of the rollout's step, from 0 on; -1 without one.",
        lambda route: -1 if route.step is None else route.step,
    ),
    _checks("check_value", "Evidence of each check that the canary is worse.", 0),
    _checks("check_threshold", "Evidence at which a check reaches a verdict.", 1),
)
