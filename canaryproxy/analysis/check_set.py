"""The checks of a route, and the verdict that they come to.

A canary is taken back when the evidence of harm, each check weighed by its share, reaches the alarm: a mean of
e-values is an e-value, so the chance of a false alarm holds for all checks together (Vovk and Wang 2021). Fixed bounds
fail by themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from canaryproxy.analysis import wording
from canaryproxy.analysis.checks.goals import GoalCheck
from canaryproxy.analysis.checks.hard_limit import HardLimitCheck
from canaryproxy.analysis.checks.latency import LatencyCheck
from canaryproxy.analysis.checks.rates import RateCheck
from canaryproxy.analysis.checks.resources import ResourceCheck
from canaryproxy.analysis.checks.sample_ratio import SampleRatioCheck
from canaryproxy.analysis.checks.thresholds import ThresholdBounds, ThresholdCheck
from canaryproxy.analysis.finding import SHOWN, SUSPICIOUS_P, Finding, SampleSizes, Verdict
from canaryproxy.analysis.snapshot_migration import CHECKS, NAMED_CHECKS
from canaryproxy.analysis.spec import AnalysisSpec, FixedLimits, Unit
from canaryproxy.analysis.stats.eprocess import anytime_p
from canaryproxy.analysis.stats.rank_tests import StableHistory
from canaryproxy.model.document import VERSION, Document, mapping, plain, real
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.record.histogram import quantile

MIN_GROUPS = 20
"""Requests of the canary that fixed bounds of our own need."""


STABLE_ILL_RATE = 0.5
"""Of its requests: a stable that fails so many is nothing to compare with."""

SHARES = {"errors": 0.5, "latency": 0.3}
OTHER_SHARE = 0.2
"""Shares of the evidence, among those that are there; the others have theirs together."""

LOOKS_BAD = 5
"""Looks in a row after which one of our own fixed bounds is broken."""


Check = RateCheck | LatencyCheck | GoalCheck | ResourceCheck | ThresholdCheck | HardLimitCheck | SampleRatioCheck


class CheckSet:
    """Everything that judges one canary, from the beginning of its evidence. `past` are stable's latencies before and
    since: their owner adds what comes while there is no canary.
    """

    def __init__(self, spec: AnalysisSpec, unit: Unit, past: StableHistory) -> None:
        errors, latency, refusals = spec.errors, spec.latency, spec.client_errors
        self.spec = spec
        self._shares = shares(spec)
        self.errors = None
        if errors is not None:
            self.errors = RateCheck(
                "errors",
                "failed",
                errors.tolerance,
                errors.floor,
                self._alarm("errors", "rollback"),
                unit=unit,
                dry_run=errors.dry_run,
            )
        self.latency = None if latency is None else LatencyCheck(latency, self._alarm("latency", "rollback"), past)
        self.client_errors = None
        if refusals is not None:
            self.client_errors = RateCheck(
                "refusals",
                "answered 4xx to",
                refusals.tolerance,
                refusals.floor,
                self._alarm("refusals", refusals.on_failure),
                action=refusals.on_failure,
                dry_run=refusals.dry_run,
            )
        goal_unit: Unit = "user" if unit == "user" else "request"
        self.goals = {
            goal.goal: GoalCheck(goal, self._alarm(f"goal:{goal.goal}", goal.on_failure), goal_unit)
            for goal in spec.goals
        }
        self.resources = {
            one.name: ResourceCheck(one, self._alarm(f"resource:{one.name}", one.on_failure)) for one in spec.resources
        }
        self.externals = {
            one.name: ThresholdCheck(
                f"check:{one.name}",
                ThresholdBounds(one.max, one.min, one.times),
                one.failures,
                action=one.on_failure,
                dry_run=one.dry_run,
            )
            for one in spec.externals
        }
        self.limit = None if spec.limits is None else HardLimitCheck(spec.limits)
        self.error_bounds = None if errors is None else _bounds("errors:limits", errors.limits, dry_run=errors.dry_run)
        self.latency_bounds = (
            None if latency is None else _bounds("latency:limits", latency.limits, dry_run=latency.dry_run)
        )
        self.sample_ratio = SampleRatioCheck(goal_unit)
        self._highest: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<CheckSet: evidence {self.evidence:.3g}>"

    def update(self) -> None:
        """A second has passed."""
        for one in self._evidence_weights:
            self._highest[one.name] = max(self._highest.get(one.name, 1.0), one.harm)

    def update_bounds(self) -> None:
        """Hold what is shown against fixed bounds."""
        if self.error_bounds is not None and self.errors is not None:
            found = self.errors.finding()
            _add_samples(self.error_bounds, found.canary, found.stable, found.samples)
        if self.latency_bounds is not None and self.latency is not None and self.spec.latency is not None:
            canary, stable = self.latency.shown()
            q = self.spec.latency.q
            samples = SampleSizes(sum(canary.values()), sum(stable.values()))
            _add_samples(self.latency_bounds, quantile(canary, q), quantile(stable, q), samples)

    def step(self) -> None:
        """The weight has changed."""
        for one in (self.errors, self.latency, self.client_errors, *self.goals.values(), *self.bounds):
            if one is not None:
                one.step()

    @property
    def bounds(self) -> Iterator[ThresholdCheck]:
        """All checks against fixed bounds."""
        for one in (self.error_bounds, self.latency_bounds, *self.externals.values()):
            if one is not None:
                yield one

    def _alarm(self, name: str, action: str) -> float:
        """The evidence that a check needs alone: to go back by its share, to hold less."""
        if action == "rollback":
            return self.spec.alarm / self._shares.get(name, 1.0)
        return min(SHOWN, self.spec.alarm)

    @property
    def _evidence_weights(self) -> Iterator[RateCheck | LatencyCheck | GoalCheck | ResourceCheck]:
        """Checks that have evidence of harm."""
        for one in (self.errors, self.latency, self.client_errors, *self.goals.values(), *self.resources.values()):
            if one is not None:
                yield one

    @property
    def evidence(self) -> float:
        """That the canary is worse, of all checks that may take it back."""
        harms = [self._shares[one.name] * one.harm for one in self._evidence_weights if one.name in self._shares]
        return sum(harms) if harms else 1.0

    def worst(self, findings: Sequence[Finding]) -> Finding:
        """The check that says most of harm, of what it takes, among those that may take the canary back."""
        able = [one for one in findings if one.name in self._shares]
        return max(able, key=lambda one: (one.evidence or 0.0) / (one.threshold or 1.0))

    @property
    def broken(self) -> list[Finding]:
        """What has failed by itself, and takes the canary back."""
        failed = [one for one in self.bounds if one.failed and one.action == "rollback" and not one.dry_run]
        found = [one.finding() for one in failed]
        return [self.limit.finding(), *found] if self.limit is not None and self.limit.failed else found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What each check says."""
        checks = (
            self.errors,
            self.latency,
            self.client_errors,
            *self.goals.values(),
            *self.resources.values(),
            *self.bounds,
            self.limit,
            self.sample_ratio,
        )
        return tuple(self._with_p(one.finding()) for one in checks if one is not None)

    def _with_p(self, finding: Finding) -> Finding:
        highest = self._highest.get(finding.name)
        if highest is None:
            return finding
        return replace(finding, p=anytime_p(max(highest, finding.evidence or 0.0)))

    def snapshot(self) -> Document:
        """What every check has learnt, as plain data. The names are those of the stored form, not of attributes."""
        return {
            **{name: _snapshot(check, CHECKS[name]) for name, check in self._single.items()},
            **{
                kind: {name: _snapshot(check, NAMED_CHECKS[kind]) for name, check in many.items()}
                for kind, many in self._named.items()
            },
            "highest": {
                name: plain(self._highest[check.name])
                for name, check in self._stored_evidence.items()
                if check.name in self._highest
            },
        }

    def restore(self, data: Document) -> None:
        """Go on from there; a check that an older version did not have begins now. Raises `ValueError`, `KeyError` or
        `TypeError` for what is nothing like it.
        """
        for name, check in self._single.items():
            if check is not None and data.get(name) is not None:
                check.restore(mapping(data[name]))
        for name, many in self._named.items():
            stored = mapping(data.get(name, {}))
            for one in many.keys() & stored.keys():
                many[one].restore(mapping(stored[one]))
        highest = mapping(data.get("highest", {}))
        self._highest = {
            check.name: real(highest[name]) for name, check in self._stored_evidence.items() if name in highest
        }

    @property
    def _single(self) -> dict[str, Check | None]:
        """Checks of which there is one, by the name that they are stored under."""
        return {
            "errors": self.errors,
            "latency": self.latency,
            "refusals": self.client_errors,
            "hard_limit": self.limit,
            "error_bounds": self.error_bounds,
            "latency_bounds": self.latency_bounds,
            "sample_ratio": self.sample_ratio,
        }

    @property
    def _named(self) -> dict[str, Mapping[str, Check]]:
        """Checks that the config names, by what they are stored under."""
        return {"goals": self.goals, "resources": self.resources, "externals": self.externals}

    @property
    def _stored_evidence(self) -> dict[str, RateCheck | LatencyCheck | GoalCheck | ResourceCheck]:
        """Checks that have evidence of harm, by the name that the highest of it is stored under."""
        single: dict[str, RateCheck | LatencyCheck | None]
        single = {"errors": self.errors, "latency": self.latency, "refusals": self.client_errors}
        return {
            **{name: check for name, check in single.items() if check is not None},
            **{f"goal:{name}": check for name, check in self.goals.items()},
            **{f"resource:{name}": check for name, check in self.resources.items()},
        }

    @property
    def unproven(self) -> list[str]:
        """Checks without proof that the canary is no worse."""
        return [
            one.name for one in (self.errors, self.latency) if one is not None and not one.dry_run and one.proof < SHOWN
        ]


def _snapshot(check: Check | None, version: int) -> Document | None:
    return None if check is None else {VERSION: version, **check.snapshot()}


def _add_samples(check: ThresholdCheck, canary: float | None, stable: float | None, samples: SampleSizes) -> None:
    if canary is None or samples.canary < MIN_GROUPS:
        check.unread(f"fewer than {MIN_GROUPS} requests of the canary at this weight")
    else:
        check.read(canary, stable, samples)


def shares(spec: AnalysisSpec) -> dict[str, float]:
    """The share of each check that may take the canary back, by its name."""
    parts = {
        name: SHARES[name]
        for name, one in (("errors", spec.errors), ("latency", spec.latency))
        if one is not None and not one.dry_run
    }
    refusals = () if spec.client_errors is None else (("refusals", spec.client_errors),)
    goals = ((f"goal:{one.goal}", one) for one in spec.goals)
    resources = ((f"resource:{one.name}", one) for one in spec.resources)
    others = [name for name, one in (*refusals, *goals, *resources) if one.on_failure == "rollback" and not one.dry_run]
    parts |= {name: OTHER_SHARE / len(others) for name in others}
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}


def _bounds(name: str, limits: FixedLimits, *, dry_run: bool) -> ThresholdCheck | None:
    if not limits:
        return None
    return ThresholdCheck(name, ThresholdBounds(limits.max, None, limits.times), LOOKS_BAD, dry_run=dry_run)


def overall_verdict(
    check_set: CheckSet, findings: Sequence[Finding], *, weight: int, aim: int, drifting: bool, judged: int
) -> tuple[Verdict, str]:
    """The verdict with its reason in a sentence, for going on to the weight `aim`. `judged` are the canary's requests
    since the weight last changed.
    """
    failing = _failing(check_set, findings)
    if failing:
        return "fail", failing
    held = next(_obstacles(check_set, findings, weight, aim, judged, drifting=drifting), "")
    return ("inconclusive", held) if held else ("pass", _all_calm(findings))


def _failing(check_set: CheckSet, findings: Sequence[Finding]) -> str:
    """Why the canary is to be taken back; empty if it is not."""
    for broken in check_set.broken:
        return broken.sentence
    return check_set.worst(findings).sentence if check_set.evidence >= check_set.spec.alarm else ""


def _obstacles(
    check_set: CheckSet, findings: Sequence[Finding], weight: int, aim: int, judged: int, *, drifting: bool
) -> Iterator[str]:
    """What stands against going on, the most serious first."""
    spec = check_set.spec
    yield from filter(None, (_is_held(finding) for finding in findings if not finding.dry_run))
    if check_set.evidence >= SUSPICIOUS_P:
        yield f"suspicious: {check_set.worst(findings).sentence}"
    if check_set.sample_ratio.alarmed:
        yield check_set.sample_ratio.finding().sentence
    for finding in findings:
        if finding.name == "errors" and (finding.stable or 0.0) >= STABLE_ILL_RATE:
            yield f"stable itself fails {wording.percent(finding.stable or 0.0)} of its requests: no time for a rollout"
    if drifting:
        yield "stable fails more than it used to: the environment is unstable"
    if not weight:
        yield "the canary has no share of the traffic"
    if judged < spec.min_requests:
        yield f"{judged:,} canary requests were judged, {spec.min_requests:,} are wanted"
    unproven = check_set.unproven if aim > spec.prove_above else []
    if unproven:
        missing = [finding.missing for finding in findings if finding.name in unproven and finding.missing]
        yield "; ".join(missing) or f"not proven no worse yet: {' and '.join(unproven)}"
    if weight < aim == FULL_WEIGHT:
        yield from (f"{one.name}: {one.missing}" for one in findings if _missing_text(one))


def _missing_text(finding: Finding) -> bool:
    """Whether all of the traffic waits for it to have seen enough."""
    return finding.name.startswith(("goal:", "resource:")) and bool(finding.missing) and not finding.dry_run


def _is_held(finding: Finding) -> str:
    """Why this check lets nothing go on; empty if it does."""
    if finding.action == "hold" and finding.verdict == "fail":
        return finding.sentence
    if finding.unknown or (finding.verdict == "inconclusive" and finding.name.startswith("check:")):
        return finding.sentence
    return ""


def _all_calm(findings: Sequence[Finding]) -> str:
    better = [one.name for one in findings if one.comparison == "better"]
    said = f"better: {', '.join(better)}; " if better else ""
    errors = next((one.sentence for one in findings if one.name == "errors"), "")
    return f"{said}nothing is shown to be worse{f'; {errors}' if errors else ''}"
