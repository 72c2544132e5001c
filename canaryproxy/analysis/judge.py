"""The judge of one route: reports of workers in, a verdict out. Pure: time comes with each report.

Errors are bet on at each report, everything else at looks, once a second. Evidence begins when the canary first gets a
share (or the canary changes, or at `restart`) and lasts until its share is 0. A change of weight only resets the values
that are shown. A failing verdict is final.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from canaryproxy.analysis.check_set import CheckSet, overall_verdict
from canaryproxy.analysis.cohorts import Cohorts
from canaryproxy.analysis.counting import (
    CANARY,
    DRAWN,
    STABLE,
    BlockCounts,
    ExposureCounter,
    UsersAtRisk,
    client_errors,
    failures,
    judged,
    pair,
    side_of,
)
from canaryproxy.analysis.finding import JudgeReport
from canaryproxy.analysis.placebo import Placebo, PlaceboSlice
from canaryproxy.analysis.snapshot_migration import STORED_UNITS, V, migrated, unit_named
from canaryproxy.analysis.spec import NO_ERRORS, AnalysisSpec, Unit
from canaryproxy.analysis.stats.dispersion import ENDPOINTS, FEW_ENDPOINTS, Dispersion, EndpointSeconds
from canaryproxy.analysis.stats.drift import Drift
from canaryproxy.analysis.stats.eprocess import Parts, restore_parts, snapshots
from canaryproxy.analysis.stats.rank_tests import StableHistory
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.analysis.uncontrolled import StableBaseline, Uncontrolled
from canaryproxy.model.document import VERSION, Document, added, items, mapping, merged, number, plain, real, whole
from canaryproxy.model.report import CounterDelta, GoalDelta, OpenRequests
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.read.users import NewUsers, UserDelta
from canaryproxy.telemetry.record.histogram import value_of


class Judge:
    """The judge of one route. `affinity`: users can be distinguished. `rng` returns random numbers in [0, 1) for the
    placebo.
    """

    def __init__(self, spec: AnalysisSpec, *, affinity: bool, rng: Callable[[], float]) -> None:
        self.spec = spec
        self._affinity = affinity
        self._rng = rng
        self._drift = Drift()
        self._dispersion = Dispersion()
        self._seconds = EndpointSeconds()
        # Requests without a response, by worker.
        self._waiting: dict[int, Sequence[OpenRequests]] = {}
        self._weight = self._next_weight = 0
        self._past = StableHistory()
        self._known = StableBaseline()
        self._uncontrolled: Uncontrolled | None = None
        self._extra: Document = {}
        self.restart(0.0, first=0)

    def __repr__(self) -> str:
        return f"<Judge at {self._weight}: {self.check_set!r}>"

    def restart(self, now: float, first: int) -> None:
        """Forget all evidence of the canary, but not that of stable. Requests that began before the second `first` do
        not count: they belong to another canary.
        """
        errors = self.spec.errors or NO_ERRORS
        self.unit = self._unit()
        self.check_set = CheckSet(self.spec, self.unit, self._past)
        self._first = first
        self._cohorts = Cohorts(closed_until=first - 1)
        self._warm: dict[str, int] = {}
        self._endpoints: set[str] = set()
        self._failed: JudgeReport | None = None
        self._extra = {name: one for name, one in self._extra.items() if name == "stable"}
        self._exposed = ExposureCounter()
        self._placebo = Placebo(errors.tolerance, errors.floor, self.spec.alarm, self._rng)
        self._new_step(now)

    def _new_step(self, now: float) -> None:
        self._step_since = now
        self._tally = BlockCounts()
        self._judged = 0
        self._new_users, self._failing = pair(), pair()
        self._arrived = pair()
        self._requests = 0
        self._risk = UsersAtRisk()
        self._slice = PlaceboSlice(self._weight)
        self._goals_risk = {goal.goal: UsersAtRisk() for goal in self.spec.goals}

    def _unit(self) -> Unit:
        """The unit of evidence of failures: see docs/analysis.md."""
        if self.spec.unit is not None:
            return self.spec.unit
        if self._affinity:
            return "user"
        return "endpoint-second" if self._dispersion.clumped else "request"

    @property
    def _dispersed(self) -> float:
        """The factor that divides the evidence of failures."""
        found, clumps = self._dispersion, 1.0
        if self.unit == "endpoint-second":
            clumps = found.of_seconds
        elif self.unit == "request" and found.watched:
            clumps = found.of_requests
        return clumps * self._placebo.factor

    # Reports.

    def count(self, cell: CounterDelta, *, current: bool) -> None:
        """Add the counts of a cell. `current`: the requests were drawn under the present weight."""
        if cell.second < self._first:
            return
        side = side_of(cell.key.version)
        errors = self.spec.errors or NO_ERRORS
        ended, failed = judged(cell), failures(cell, errors)
        tally = self._tally
        if cell.key.reason in DRAWN:
            tally.drawn[side] += cell.starts if current else 0
        else:
            tally.ruled = True
        tally.ended[side] += ended
        tally.failed[side] += failed
        tally.client_errors[side] += client_errors(cell)
        if side == CANARY:
            self._endpoints.add(cell.key.endpoint)
        self._seconds.count(cell.key.version, cell.key.endpoint, cell.second, ended, failed)
        block = self._cohorts.count(cell, ended, failed, timed=self._is_warm(cell))
        if self.check_set.limit is not None and self._weight < FULL_WEIGHT:
            self.check_set.limit.count(block)

    def _is_warm(self, cell: CounterDelta) -> bool:
        """Whether the latencies of this endpoint are judged: in its first seconds a canary has cold caches."""
        if cell.key.version != "canary":
            return True
        first = self._warm.setdefault(cell.key.endpoint, cell.second)
        return cell.second >= first + self.spec.warmup

    def reported(self, slot: int, at: float, waiting: Sequence[OpenRequests]) -> None:
        """A worker has reported everything until `at`; requests in `waiting` have no response yet."""
        self._waiting[slot] = waiting
        if self.check_set.limit is not None:
            self.check_set.limit.reported()
        if self._weight == FULL_WEIGHT:
            return
        if self.unit == "request":
            for block in self._cohorts.blocks():
                self._bet(block, int(at))
        elif self.unit == "user" and (any(self._new_users) or any(self._failing)):
            self._bet_users(int(at))

    def worker_exited(self, slot: int) -> None:
        """A worker has ended."""
        self._waiting.pop(slot, None)

    def users_seen(self, new_users: UserDelta) -> None:
        """Add users that are new in this step, or reached a goal for the first time in it."""
        side = side_of(new_users.version)
        if isinstance(new_users, NewUsers):
            self._new_users[side] += len(new_users.seen)
            self._arrived[side] += len(new_users.seen)
            self._failing[side] += len(new_users.failed)
            if side == STABLE:
                self._slice.users_seen(new_users)
        elif self._affinity:
            self._tally.values(new_users.goal)[side].extend(new_users.values)

    def goal_reached(self, goal: GoalDelta) -> None:
        """Add events of a goal by requests. With affinity users count instead."""
        if not self._affinity:
            values = self._tally.values(goal.goal)[side_of(goal.version)]
            for bucket, count in goal.values.items():
                values.extend([value_of(bucket)] * count)

    # Bets.

    def _bet(self, block: Block, second: int) -> None:
        if self.check_set.errors is not None and self._weight:
            self.check_set.errors.bet(block, second, dispersion=self._dispersed)
            # A block of stable without failures gives the placebo no evidence of noise.
            if self.unit == "request" and block.stable_failed:
                self._placebo.bet(block, self._weight)

    def _bet_users(self, second: int) -> None:
        fresh, failing = self._new_users, self._failing
        self._new_users, self._failing = pair(), pair()
        block = self._risk.first_failures(fresh, failing)
        shown = Block(fresh[CANARY], failing[CANARY], fresh[STABLE], failing[STABLE])
        errors = self.check_set.errors
        if errors is None or not self._weight:
            return
        if block.whole:
            errors.bet(block, second, fresh=shown, dispersion=self._dispersed)
        else:
            errors.seen(shown)
        taken, new = self._slice.block()
        if taken.whole:
            self._placebo.bet_on(taken, fresh=new)

    @property
    def started(self) -> bool:
        """Whether the canary has had a share since the last start, in all reports."""
        return self._weight > 0

    @property
    def idle(self) -> bool:
        """Whether a look has nothing to do: the canary has no share, and stable had no request since the last look."""
        return not self._weight and not any(self._tally.drawn) and not any(self._tally.ended)

    def tick(self, now: float, weight: int, reported_until: float, next_weight: int | None = None) -> None:
        """A second has passed. `weight` is the present one and `next_weight` that of the next step, in basis points.
        Every worker has reported everything until `reported_until`.
        """
        self.advance(now, weight)
        self._next_weight = weight if next_weight is None else next_weight
        check_set, tally = self.check_set, self._tally
        self._drift.look(tally.failed[STABLE])
        self._known.update(tally.ended[STABLE], tally.failed[STABLE])
        self._close(int(reported_until))
        if self._uncontrolled is not None:
            self._uncontrolled.update(tally.ended[CANARY], tally.failed[CANARY])
        elif weight:
            self._judge_block(tally, weight, int(now))
        self._judged += tally.ended[CANARY]
        self._exposed.look(tally)
        self._requests += tally.ended[STABLE]
        self._tally = BlockCounts()
        self._set_pace(max(now - self._step_since, 1.0))
        check_set.update()
        self.failed(now)

    def _set_pace(self, seconds: float) -> None:
        """Set the rate of the canary's units since the weight last changed."""
        requests = self._judged / seconds
        units = {"request": requests, "user": self._risk.seen[CANARY] / seconds}
        if self.check_set.errors is not None:
            self.check_set.errors.pace = units.get(self.unit, float(len(self._endpoints)))
        if self.check_set.latency is not None:
            self.check_set.latency.pace = requests

    def advance(self, now: float, weight: int) -> None:
        """Set the weight from now on: to be called before the reports of requests that it decided."""
        if weight == self._weight:
            return
        before, self._weight = self._weight, weight
        if not before or not weight:
            self.restart(now, first=int(now))
        else:
            if FULL_WEIGHT in (before, weight):
                # Requests without a control are not compared, only those that begin from the next second on.
                self._first = int(now) + 1
                self._cohorts = Cohorts(closed_until=int(now))
                if self.check_set.latency is not None:
                    self.check_set.latency.drop()
            self.check_set.step()
            self._new_step(now)
        self._uncontrolled = self._without_control()

    def _without_control(self) -> Uncontrolled | None:
        if self._weight != FULL_WEIGHT or self.spec.errors is None:
            return None
        return Uncontrolled(self.spec.errors, self.spec.limits, self._known)

    def _close(self, clock: int) -> None:
        """Close the cohorts whose wait is over."""
        check_set = self.check_set
        wait = 2 if check_set.latency is None else check_set.latency.wait
        # The present second is not over, so the last complete cohort is that of the second before.
        until = clock - 1 - wait
        waiting = [one for side in self._waiting.values() for one in side]
        timed = clock >= min(self._warm.values(), default=0) + self.spec.warmup + wait
        for block, histograms, vain in self._cohorts.close(until, waiting, timed=timed):
            if block.whole and self.unit == "request":
                self._bet(block, clock)
            if check_set.latency is not None and 0 < self._weight < FULL_WEIGHT and timed:
                check_set.latency.file(histograms)
            else:
                self._past.add(histograms[STABLE])
            if check_set.limit is not None and (vain.canary or vain.stable):
                check_set.limit.count(vain)
                check_set.limit.reported()
        for second, block, placebo in self._seconds.close(until, self._dispersion):
            if self.unit == "endpoint-second" and block.whole:
                self._bet(block, second)
                self._placebo.bet_on(placebo, self._dispersion.of_seconds)

    def _judge_block(self, tally: BlockCounts, weight: int, second: int) -> None:
        check_set = self.check_set
        per_user = max(self._requests / max(self._risk.seen[STABLE], 1), 1.0) if self._affinity else 1.0
        if check_set.errors is not None and self.unit == "endpoint-second":
            check_set.errors.note = FEW_ENDPOINTS if len(self._endpoints) < ENDPOINTS else ""
        if check_set.latency is not None:
            check_set.latency.look(dispersion=per_user)
        if check_set.client_errors is not None:
            block = tally.block(tally.client_errors)
            if block.whole:
                check_set.client_errors.bet(block, second, dispersion=per_user)
        for name, check in check_set.goals.items():
            values = tally.values(name)
            hits = [len(values[CANARY]), len(values[STABLE])]
            if self._affinity:
                fresh = Block(self._arrived[CANARY], hits[CANARY], self._arrived[STABLE], hits[STABLE])
                check.look(self._goals_risk[name].first_failures(self._arrived, hits), values, fresh)
            else:
                check.look(tally.block(hits), values)
        drawn = self._arrived if self._affinity else tally.drawn
        # With affinity, users that a rule decided are among the new ones, and the weight does not apply to them.
        if not (self._affinity and tally.ruled):
            check_set.sample_ratio.draw(drawn[CANARY], drawn[STABLE], weight)
        self._arrived = pair()
        check_set.update_bounds()

    # Persistence.

    @property
    def _stable_parts(self) -> Parts:
        """Evidence of stable, which outlives the canary, by stored name."""
        return {
            "latencies": self._past,
            "drift": self._drift,
            "dispersion": self._dispersion,
            "looks": self._known,
        }

    @property
    def _parts(self) -> Parts:
        """Evidence of the canary, by stored name."""
        return {
            "panel": self.check_set,
            "exposed": self._exposed,
            "placebo": self._placebo,
            "at_risk": self._risk,
        }

    def snapshot(self, now: float) -> Document:
        """All evidence as plain data for JSON, with the fields of a later version."""
        failed = self._failed
        known = {
            VERSION: V,
            "unit": STORED_UNITS[self.unit],
            "weight": self._weight,
            "seconds": now - self._step_since,
            "warm": {endpoint: now - first for endpoint, first in self._warm.items()},
            "failed": failed and {"reason": failed.reason, "evidence": plain(failed.evidence)},
            "stable": snapshots(self._stable_parts),
            **snapshots(self._parts),
            "goals_at_risk": snapshots(self._goals_risk),
            "judged": self._judged,
            "requests": self._requests,
            "endpoints": sorted(self._endpoints),
            "alone": self._uncontrolled and self._uncontrolled.snapshot(),
        }
        return merged(known, self._extra)

    def restore(self, stored: Document, now: float) -> None:
        """Continue from a snapshot, with requests of the next second. Raises as `migrated` does."""
        data = migrated(stored)
        self.unit = unit_named(data["unit"])
        restore_parts(self._stable_parts, mapping(data["stable"]))
        self.check_set = CheckSet(self.spec, self.unit, self._past)
        restore_parts(self._parts, data)
        restore_parts(self._goals_risk, data["goals_at_risk"])
        self._judged, self._requests = whole(data["judged"]), whole(data["requests"])
        self._endpoints, self._weight = set(items(data["endpoints"])), whole(data["weight"])
        self._next_weight, self._slice = self._weight, PlaceboSlice(self._weight)
        self._uncontrolled = self._without_control()
        if self._uncontrolled is not None and data.get("alone") is not None:
            self._uncontrolled.restore(data["alone"])
        self._step_since = now - number(data["seconds"])
        self._warm = {endpoint: math.floor(now - number(age)) for endpoint, age in data["warm"].items()}
        self._first = int(now) + 1
        self._cohorts = Cohorts(closed_until=int(now))
        if data["failed"] is not None:
            reason, evidence = data["failed"]["reason"], real(data["failed"]["evidence"])
            self._failed = replace(self._found(now), verdict="fail", reason=reason, evidence=evidence)
        self._extra = added(data, self.snapshot(now))

    # Results.

    def failed(self, now: float) -> JudgeReport | None:
        """The report of a failing verdict; None without one."""
        checks = self.check_set
        if self._failed is None and self._weight and (checks.broken or checks.evidence >= self.spec.alarm):
            self._failed = self._found(now)
        return self._failed

    def analysis(self, now: float) -> JudgeReport:
        """The present report. A failing verdict keeps its reason and its evidence, whatever the checks find later."""
        if self._failed is None:
            return self._found(now)
        stands = self._failed
        return replace(self._found(now), verdict=stands.verdict, reason=stands.reason, evidence=stands.evidence)

    def _found(self, now: float) -> JudgeReport:
        findings = self.check_set.findings
        verdict, reason = overall_verdict(
            self.check_set,
            findings,
            weight=self._weight,
            aim=self._next_weight,
            drifting=self._drift.alarmed,
            judged=self._judged,
        )
        return JudgeReport(
            verdict=verdict,
            reason=reason,
            evidence=self.check_set.evidence,
            threshold=self.spec.alarm,
            checks=findings,
            seconds=now - self._step_since,
            weight=self._weight,
            placebo=self._placebo.factor,
            dry_run=self.spec.dry_run,
            exposed=self._exposed.now(self._tally),
            uncontrolled="" if self._uncontrolled is None else self._uncontrolled.suspicion,
        )
