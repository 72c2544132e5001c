"""The API's views of the control plane and the workers, built as the models of `models`."""

import math
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from canaryproxy import MODE, __version__
from canaryproxy.admin import models, rollout_models
from canaryproxy.admin.problems import ApiError
from canaryproxy.config.rules_document import rule_as_written
from canaryproxy.config.schema.section import as_written
from canaryproxy.config.types.affinity import affinity_text
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.state import Audit
from canaryproxy.probes.endpoints import names
from canaryproxy.probes.failing_dependencies import FailingDependency
from canaryproxy.probes.health import HealthFinding
from canaryproxy.probes.http_client import REFUSED
from canaryproxy.processes.workers import Workers
from canaryproxy.rollout.identity import label
from canaryproxy.rollout.state import UNDER_WAY
from canaryproxy.telemetry.read.metrics import InstanceFacts, ListenerFacts, RouteFacts
from canaryproxy.telemetry.read.window import GoalCount, Sample
from canaryproxy.telemetry.record.distinct_users import DistinctUsers, UserNumbers

# Routes processed in one turn of the event loop.
ROUTES_PER_TURN = 10

NO_USERS = DistinctUsers()

# Verdict to value of the metric.
VERDICTS = {"pass": 1, "inconclusive": 0, "fail": -1}

# Rules of a route whose metric series exist before the first match.
MAX_RULE_SERIES = 100


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one instance. `now` is the clock of the workers' deltas in seconds; `addresses` are the data
    listeners; `connections` is the limit of client connections; `numbers` maps affinity keys to user numbers;
    `listeners` counts connections of the control plane's listeners; `rejected_requests` counts refused readers.
    """

    plane: ControlPlane
    workers: Workers
    now: Callable[[], float]
    addresses: Callable[[], Sequence[str]] = tuple
    connections: int = 0
    numbers: UserNumbers = field(default_factory=lambda: UserNumbers(b""))
    listeners: Callable[[], ListenerFacts] = ListenerFacts
    rejected_requests: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether the instance serves requests."""
        return self.plane.tables.generation > 0 and self.workers.ready > 0 and not self.workers.draining

    def known(self, route: str) -> str:
        """The name itself if the route exists. Raises `ApiError`."""
        if route not in self.plane.topology.config.routes:
            raise ApiError("no-such-route", f"routes are: {', '.join(list(self.plane.topology.config.routes)[:20])}")
        self.require_state()
        return route

    def require_started(self) -> None:
        """Refuse changes before the first table is published. Raises `ApiError`."""
        if not self.plane.tables.generation:
            raise ApiError("not-ready", "the instance is starting", headers={"Retry-After": "1"})

    def require_state(self) -> None:
        """Refuse requests before the stored state is loaded. Raises `ApiError`."""
        if not self.plane.ledger.state:
            raise ApiError("not-ready", "the state is being loaded", headers={"Retry-After": "1"})

    def route(self, name: str) -> models.RouteDocument:
        """The full state of a route."""
        ledger = self.plane.ledger
        config, state = self.plane.topology.config.routes[name], ledger.state[name]
        names = self.plane.versions.identity(name)
        return models.RouteDocument(
            route=name,
            generation=self.plane.tables.generation,
            hosts=list(config.hosts),
            paths=list(config.paths),
            affinity=affinity_text(config.affinity),
            canary=self.canary(name),
            canary_source=state.canary_source,
            weight=state.weight / 100,
            source=state.weight_source,
            waiting_weight=None if state.waiting is None else state.waiting / 100,
            observed_weight=_rounded(self.plane.window.observed_weight(name, self.now())),
            phase=state.rollout.phase,
            reason=state.latched or state.rollout.reason or None,
            step=state.rollout.step,
            rollout_id=names.id or None,
            stable_version=names.stable or None,
            canary_version=names.canary or None,
            verdict=self.plane.judges.verdict(name, self.now()),
            rules=self.rules(name),
            rules_source=state.rules_source,
            endpoints=self.endpoints(name),
            state=models.StorageDocument(condition=ledger.condition.health, detail=ledger.condition.detail or None),
            failing=self.failing(name),
        )

    def canary(self, name: str) -> dict[str, Any] | None:
        """The current canary as in the configuration; None without a canary."""
        canary = self.plane.topology.config.routes[name].canary
        return None if canary is None else as_written(canary)

    def rules(self, name: str) -> list[models.Rule]:
        """The current rules as in the configuration."""
        return [rule_as_written(rule) for rule in self.plane.controller.rules(name)]

    def endpoints(self, name: str) -> models.EndpointsDocument:
        """Both versions' endpoints with their states."""
        found, findings = {}, self.plane.topology.health.findings
        for version, side in self.plane.topology.endpoints(name).items():
            ejected = self.plane.counters.ejected(endpoint.authority for endpoint, _ in side)
            found[version] = [
                models.EndpointDocument.model_construct(
                    endpoint=endpoint.authority,
                    name=endpoint.name,
                    state="ejected" if endpoint.authority in ejected and state != "unhealthy" else state,
                    check=None if state == "unknown" else checked(findings.get(endpoint)),
                )
                for endpoint, state in side
            ]
        return models.EndpointsDocument(stable=found["stable"], canary=found.get("canary", []))

    def failing(self, name: str) -> list[models.FailingDocument]:
        """The failing dependencies of a route."""
        asked = names({name: self.plane.topology.config.routes[name]})
        unresolved = [one for host in sorted(asked) for one in self.plane.topology.resolver.failures.of(host)]
        return [failing(one) for one in (*unresolved, *self.plane.failures.of(name))]

    def stats(self, name: str, seconds: float) -> models.Stats:
        """Statistics of both versions over the last `seconds`."""
        now = self.now()
        stable, canary = (
            self._version(self.plane.window.sample((name, version), now, seconds), (name, version), now, seconds)
            for version in ("stable", "canary")
        )
        versions = models.VersionsStats(stable=stable, canary=canary if self.has_canary(name) else None)
        return models.Stats(route=name, window=seconds, versions=versions, step=self._step(name, now))

    def has_canary(self, name: str) -> bool:
        """Whether the route has a canary."""
        return self.plane.topology.config.routes[name].canary is not None

    def _has_users(self, name: str) -> bool:
        """Whether users are counted: without a canary no affinity key is read."""
        return self.has_canary(name) and self.plane.topology.config.routes[name].affinity is not None

    def _step(self, name: str, now: float) -> models.StepDocument | None:
        """Users since the last change of the weight; None without affinity."""
        state = self.plane.ledger.state[name]
        if not self._has_users(name):
            return None
        step = self.plane.users.weight_period(name, state.weight, now)
        sides = {}
        for version in ("stable", "canary"):
            seen, failed = step.seen.get(version, NO_USERS), step.failed.get(version, NO_USERS)
            error = _rounded(seen.error) or 0.0
            sides[version] = models.StepUsers(users=len(seen), failed=len(failed), error=error)
        return models.StepDocument(weight=state.weight / 100, seconds=round(now - step.since, 3), **sides)

    def rollout(self, name: str) -> rollout_models.RolloutDocument:
        """The state of a route's rollout."""
        rollout, plan = self.plane.rollouts.of(name), self.plane.observations.plan(name)
        active = rollout.phase in UNDER_WAY
        aim = rollout.next_weight if rollout.phase != "baking" else None
        dwell = plan.steps[rollout.step].dwell if active and rollout.step is not None else 0.0
        estimate = self.plane.observations.estimate(name) if active else 0.0
        names = self.plane.versions.identity(name)
        return rollout_models.RolloutDocument(
            route=name,
            id=names.id or None,
            stable_version=names.stable or None,
            canary_version=names.canary or None,
            phase=rollout.phase,
            reason=rollout.reason or None,
            why=rollout.why or None,
            step=rollout.step,
            steps=[step.weight / 100 for step in plan.steps],
            weight=self.plane.ledger.state[name].weight / 100,
            began=rollout.began or None,
            since=rollout.since or None,
            next=None if aim is None else aim / 100,
            not_before=None if aim is None else rollout.step_since + dwell,
            timeout_at=rollout.timeout_at or None,
            estimate=round(estimate, 1) if 0 < estimate < math.inf else None,
            verdict=self.plane.judges.verdict(name, self.now()),
            generation=self.plane.tables.generation,
            durable=self.plane.ledger.durable,
        )

    def _goals(self, sample: Sample, side: tuple[str, str], now: float, seconds: float) -> dict[str, models.GoalStats]:
        config, known = self.plane.topology.config.routes[side[0]], self._has_users(side[0])
        users = self.plane.users.seen(side, now, seconds).count
        found = {}
        for goal in config.goals:
            events = sample.goals.get(goal.name, GoalCount())
            reached = self.plane.users.reached((*side, goal.name), now, seconds).count if known else None
            found[goal.name] = models.GoalStats(
                events=events.count,
                value=events.value,
                users=reached,
                per_request=events.count / sample.requests if sample.requests else None,
                per_user=reached / users if users and reached is not None else None,
            )
        return found

    def _version(self, sample: Sample, side: tuple[str, str], now: float, seconds: float) -> models.VersionStats:
        known = self._has_users(side[0])
        seen, failed = self.plane.users.seen(side, now, seconds), self.plane.users.failed(side, now, seconds)
        return models.VersionStats(
            requests=sample.requests,
            errors=sample.errors,
            error_rate=sample.error_rate,
            mean=sample.mean,
            p50=sample.quantile(0.5),
            p90=sample.quantile(0.9),
            p95=sample.quantile(0.95),
            p99=sample.quantile(0.99),
            in_flight=self.plane.counters.in_flight(side),
            users=seen.count if known else None,
            users_failed=failed.count if known else None,
            users_error=_rounded(seen.error) if known else None,
            goals=self._goals(sample, side, now, seconds),
        )

    async def facts(self) -> InstanceFacts:
        """The input of the metrics rendering. Yields to the event loop every `ROUTES_PER_TURN` routes."""
        config, ledger = self.plane.topology.config, self.plane.ledger
        routes = []
        for number, name in enumerate(list(config.routes)):
            if number % ROUTES_PER_TURN == ROUTES_PER_TURN - 1:
                await self.plane.rollouts.precedence.breathe()
            if name in self.plane.topology.config.routes and ledger.state:
                routes.append(self._facts(name))
        return InstanceFacts(
            routes=routes,
            counters=self.plane.counters,
            window=self.plane.window,
            now=self.now(),
            workers=self.workers.ready,
            restarts=self.workers.restarts,
            refused=self.workers.refused,
            connections=self.connections,
            listeners=self.listeners(),
            generation=self.plane.tables.generation,
            reloaded=self.plane.reconfiguration.reloaded,
            state=ledger.condition.health,
            build={"version": __version__, "python": platform.python_version(), "mode": MODE.label},
            buckets=config.server.metrics.buckets,
            refused_readers=self.rejected_requests,
            refused_answers={str(why): count for why, count in REFUSED.items()},
            certificates=[((one.role, one.place, one.file), one.ends) for one in config.certificates],
        )

    def _facts(self, name: str) -> RouteFacts:
        rules = self.plane.controller.rules(name)
        reasons = ["weight", "abort"] if self.has_canary(name) else ["weight"]
        if self._has_users(name):
            reasons.insert(1, "affinity")
        reasons += [f"rule:{rule.name}" for rule in rules[:MAX_RULE_SERIES]]

        def endpoints() -> Mapping[tuple[str, str], int]:
            if name not in self.plane.topology.config.routes:
                return {}
            sides = self.endpoints(name)
            pairs = (("stable", sides.stable), ("canary", sides.canary))
            return Counter((version, one.state) for version, side in pairs for one in side)

        goals = tuple(goal.name for goal in self.plane.topology.config.routes[name].goals)
        analysis, rollout = self.plane.judges.analysis(name, self.now()), self.plane.rollouts.of(name)
        names = self.plane.versions.identity(name)
        return RouteFacts(
            name,
            self.plane.ledger.state[name].weight,
            tuple(reasons),
            endpoints,
            goals,
            VERDICTS[analysis.verdict],
            {one.name: (one.evidence, one.threshold) for one in analysis.checks},
            rollout.phase,
            rollout.step,
            {(result, why): count for (of, result, why), count in self.plane.notifier.ended.items() if of == name},
            (label(names.id), label(names.stable), label(names.canary)),
            ("stable", "canary") if self.has_canary(name) else ("stable",),
        )


def entry(audit: Audit) -> models.HistoryEntryDocument:
    """An entry of the audit log as the API shows it."""
    data = asdict(audit)
    del data["route"]
    data["at"] = datetime.fromtimestamp(audit.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ids = {name: data[name] or None for name in ("rollout_id", "stable_version", "canary_version")}
    return models.HistoryEntryDocument(**{**data, **ids})


def checked(finding: HealthFinding | None) -> models.HealthCheckDocument | None:
    """The last health check result of an endpoint; None without one."""
    if finding is None:
        return None
    reason = finding.reason
    return models.HealthCheckDocument.model_construct(
        passed=finding.passed,
        reason=None if reason is None else reason.words,
        kind=None if reason is None else reason.kind,
        since=finding.since,
        consecutive=finding.row,
        at=finding.at,
    )


def failing(one: FailingDependency) -> models.FailingDocument:
    """A failing dependency."""
    data = asdict(one)
    return models.FailingDocument(consecutive=data.pop("row"), **data)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
