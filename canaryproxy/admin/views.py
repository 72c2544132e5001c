"""What the API shows: what the control plane and the workers know, as the models of `models`."""

import math
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from canaryproxy import MODE, __version__
from canaryproxy.admin import endpoints, models, rollout_models
from canaryproxy.admin.problems import ApiError
from canaryproxy.config.rules_document import rule_as_written
from canaryproxy.config.schema.section import as_written
from canaryproxy.config.types.affinity import affinity_text
from canaryproxy.control.control_plane import ControlPlane
from canaryproxy.control.state import Audit
from canaryproxy.probes.endpoints import names
from canaryproxy.probes.http_client import REFUSED
from canaryproxy.processes.workers import Workers
from canaryproxy.rollout.identity import label
from canaryproxy.rollout.state import UNDER_WAY
from canaryproxy.telemetry.read.metrics import InstanceFacts, ListenerFacts, RouteFacts
from canaryproxy.telemetry.read.window import GoalCount, Sample
from canaryproxy.telemetry.record.distinct_users import DistinctUsers, UserNumbers

ROUTES_PER_TURN = 10
"""Routes that are looked at before others get their turn on the loop."""

NO_USERS = DistinctUsers()

VERDICTS = {"pass": 1, "inconclusive": 0, "fail": -1}
"""As the metric has them."""

MAX_RULE_SERIES = 100
"""Rules of a route that have a series before they decide anything."""


@dataclass(frozen=True, slots=True)
class Views:
    """Everything there is to show. `now` tells seconds on the clock of the deltas, `addresses` where requests come
    in; `connections` is how many clients are served at once, at most; `numbers` those that users are counted by;
    `listeners` counts the connections of the control plane's listeners, `rejected_requests` readers of this API who
    were turned away.
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
        """Whether requests are served."""
        return self.plane.tables.generation > 0 and self.workers.ready > 0 and not self.workers.draining

    def known(self, route: str) -> str:
        """The route's name, if there is such a route. Raises `ApiError`."""
        if route not in self.plane.topology.config.routes:
            raise ApiError("no-such-route", f"routes are: {', '.join(list(self.plane.topology.config.routes)[:20])}")
        self.evidence_loaded()
        return route

    def started(self) -> None:
        """Whether changes may come: a first table is published. Raises `ApiError`."""
        if not self.plane.tables.generation:
            raise ApiError("not-ready", "it starts, and nothing is served yet", headers={"Retry-After": "1"})

    def evidence_loaded(self) -> None:
        """Whether it is known what holds. Raises `ApiError`."""
        if not self.plane.ledger.state:
            raise ApiError("not-ready", "the state is being read", headers={"Retry-After": "1"})

    def route(self, name: str) -> models.RouteDocument:
        """All that is known of a route."""
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
        """The canary that holds, as written; None where there is none."""
        canary = self.plane.topology.config.routes[name].canary
        return None if canary is None else as_written(canary)

    def rules(self, name: str) -> list[models.Rule]:
        """The rules that hold, as written."""
        return [rule_as_written(rule) for rule in self.plane.controller.rules(name)]

    def endpoints(self, name: str) -> models.Endpoints:
        """Every endpoint with its state."""
        found, findings = {}, self.plane.topology.health.findings
        for version, side in self.plane.topology.endpoints(name).items():
            ejected = self.plane.counters.ejected(endpoint.authority for endpoint, _ in side)
            found[version] = [
                endpoints.EndpointDocument.model_construct(
                    endpoint=endpoint.authority,
                    name=endpoint.name,
                    state="ejected" if endpoint.authority in ejected and state != "unhealthy" else state,
                    check=None if state == "unknown" else endpoints.checked(findings.get(endpoint)),
                )
                for endpoint, state in side
            ]
        return models.Endpoints(stable=found["stable"], canary=found.get("canary", []))

    def failing(self, name: str) -> list[models.Failing]:
        """Who is asked or called for a route and gives no good answer."""
        asked = names({name: self.plane.topology.config.routes[name]})
        unresolved = [one for host in asked for one in self.plane.topology.resolver.failures.of(host)]
        return [endpoints.failing(one) for one in (*unresolved, *self.plane.failures.of(name))]

    def stats(self, name: str, seconds: float) -> models.Stats:
        """What both versions did in the last seconds."""
        now = self.now()
        stable, canary = (
            self._version(self.plane.window.sample((name, version), now, seconds), (name, version), now, seconds)
            for version in ("stable", "canary")
        )
        versions = models.VersionsStats(stable=stable, canary=canary if self.has_canary(name) else None)
        return models.Stats(
            route=name,
            window=seconds,
            versions=versions,
            step=self._step(name, now),
        )

    def has_canary(self, name: str) -> bool:
        """Whether the route has one."""
        return self.plane.topology.config.routes[name].canary is not None

    def _has_users(self, name: str) -> bool:
        """Whether users are distinguished: without a canary no key is read."""
        return self.has_canary(name) and self.plane.topology.config.routes[name].affinity is not None

    def _step(self, name: str, now: float) -> models.StepDocument | None:
        """What users met since the weight is what it is; nothing without affinity."""
        state = self.plane.ledger.state[name]
        if not self._has_users(name):
            return None
        step = self.plane.users.weight_period(name, state.weight, now)
        met = {
            version: models.StepUsers(
                users=len(seen),
                failed=len(failed),
                error=_rounded(seen.error) or 0.0,
            )
            for version in ("stable", "canary")
            for seen, failed in [(step.seen.get(version, NO_USERS), step.failed.get(version, NO_USERS))]
        }
        return models.StepDocument(
            weight=state.weight / 100, seconds=round(now - step.since, 3), stable=met["stable"], canary=met["canary"]
        )

    def rollout(self, name: str) -> rollout_models.RolloutDocument:
        """Where a rollout stands."""
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
        """What the metrics are made of. Others get their turn on the loop now and then."""
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
            return Counter(
                (version, one.state)
                for version, side in (("stable", sides.stable), ("canary", sides.canary))
                for one in side
            )

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
    """A line of the history."""
    at = datetime.fromtimestamp(audit.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return models.HistoryEntryDocument(
        at=at,
        actor=audit.actor,
        role=audit.role,
        address=audit.address,
        action=audit.action,
        detail=audit.detail,
        generation=audit.generation,
        outcome=audit.outcome,
        rollout_id=audit.rollout_id or None,
        stable_version=audit.stable_version or None,
        canary_version=audit.canary_version or None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
