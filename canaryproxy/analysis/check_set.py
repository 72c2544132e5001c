"""The checks of a route, and their common verdict.

A canary is rolled back if the evidence of harm, weighted by the share of each check, reaches the alarm. A mean of
e-values is an e-value, so the probability of a false alarm holds for all checks together (Vovk and Wang 2021). Fixed
bounds fail independently of that.
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
from canaryproxy.analysis.checks.thresholds import ThresholdCheck
from canaryproxy.analysis.finding import SHOWN, SUSPICIOUS_P, Finding, SampleSizes, Verdict
from canaryproxy.analysis.snapshot_migration import CHECKS, NAMED_CHECKS
from canaryproxy.analysis.spec import AnalysisSpec, ExternalSpec, FixedLimits, Unit
from canaryproxy.analysis.stats.eprocess import Parts, Storable, anytime_p
from canaryproxy.analysis.stats.rank_tests import StableHistory
from canaryproxy.model.document import VERSION, Document, mapping, plain, real
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.record.histogram import quantile

# Requests of the canary that the fixed bounds on errors and latency need.
MIN_REQUESTS = 20

# Failure rate of stable from which it is no basis of a comparison.
STABLE_ILL_RATE = 0.5

# Errors show harm first and most clearly, so they get half of the evidence.
SHARES = {"errors": 0.5, "latency": 0.3}
# Shares of the evidence, before they are scaled to the active checks; all other checks share the last one.
OTHER_SHARE = 0.2

# Bad looks in a row after which a fixed bound on errors or latency fails.
LOOKS_BAD = 5

EvidenceCheck = RateCheck | LatencyCheck | GoalCheck | ResourceCheck


class CheckSet:
    """All checks of one canary. `past` are the latencies of stable; their owner adds those without a canary."""

    def __init__(self, spec: AnalysisSpec, unit: Unit, past: StableHistory) -> None:
        errors, latency, refusals, alarm = spec.errors, spec.latency, spec.client_errors, self._alarm
        self.spec = spec
        self._shares = shares(spec)
        self.errors = None if errors is None else RateCheck("errors", "failed", errors, alarm("errors"), unit=unit)
        self.latency = None if latency is None else LatencyCheck(latency, alarm("latency"), past)
        self.client_errors = None
        if refusals is not None:
            action, threshold = refusals.on_failure, alarm("refusals", refusals.on_failure)
            self.client_errors = RateCheck("refusals", "answered 4xx to", refusals, threshold, action=action)
        goal_unit: Unit = "user" if unit == "user" else "request"
        self.goals = {
            one.goal: GoalCheck(one, alarm(f"goal:{one.goal}", one.on_failure), goal_unit) for one in spec.goals
        }
        self.resources = {
            one.name: ResourceCheck(one, alarm(f"resource:{one.name}", one.on_failure)) for one in spec.resources
        }
        self.externals = {one.name: _external(one) for one in spec.externals}
        self.limit = None if spec.limits is None else HardLimitCheck(spec.limits)
        self.error_bounds = None if errors is None else _bounds("errors:limits", errors.limits, dry_run=errors.dry_run)
        self.latency_bounds = (
            None if latency is None else _bounds("latency:limits", latency.limits, dry_run=latency.dry_run)
        )
        self.sample_ratio = SampleRatioCheck(goal_unit)
        single = (self.errors, self.latency, self.client_errors)
        checks: tuple[EvidenceCheck | None, ...] = (*single, *self.goals.values(), *self.resources.values())
        self._evidence = {check.name: check for check in checks if check is not None}
        self._stepping = (*single, *self.goals.values(), *self.bounds)
        self._highest: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<CheckSet: evidence {self.evidence:.3g}>"

    def update(self) -> None:
        """A second has passed."""
        for name, check in self._evidence.items():
            self._highest[name] = max(self._highest.get(name, 1.0), check.harm)

    def update_bounds(self) -> None:
        """Compare the present values with the fixed bounds."""
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
        for check in self._stepping:
            if check is not None:
                check.step()

    @property
    def bounds(self) -> list[ThresholdCheck]:
        """All checks of fixed bounds."""
        checks = (self.error_bounds, self.latency_bounds, *self.externals.values())
        return [check for check in checks if check is not None]

    def _alarm(self, name: str, action: str = "rollback") -> float:
        """The evidence at which a check acts alone: for a rollback by its share, to hold the rollout less."""
        if action == "rollback":
            return self.spec.alarm / self._shares.get(name, 1.0)
        return min(SHOWN, self.spec.alarm)

    @property
    def evidence(self) -> float:
        """The evidence of harm of all checks that may roll back."""
        harms = [share * self._evidence[name].harm for name, share in self._shares.items()]
        return sum(harms) if harms else 1.0

    def worst(self, findings: Sequence[Finding]) -> Finding:
        """Of the checks that may roll back, the one with most evidence of harm relative to its threshold."""
        able = [one for one in findings if one.name in self._shares]
        return max(able, key=lambda one: (one.evidence or 0.0) / (one.threshold or 1.0))

    @property
    def broken(self) -> list[Finding]:
        """Failed checks of fixed bounds that roll back."""
        failed = [one for one in self.bounds if one.failed and one.action == "rollback" and not one.dry_run]
        found = [one.finding() for one in failed]
        return [self.limit.finding(), *found] if self.limit is not None and self.limit.failed else found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all checks."""
        checks = (*self._evidence.values(), *self.bounds, self.limit, self.sample_ratio)
        return tuple(self._with_p(check.finding()) for check in checks if check is not None)

    def _with_p(self, finding: Finding) -> Finding:
        highest = self._highest.get(finding.name)
        if highest is None:
            return finding
        return replace(finding, p=anytime_p(max(highest, finding.evidence or 0.0)))

    def snapshot(self) -> Document:
        """The evidence of all checks as plain data, by stored names. A check that is off is null."""
        return {
            **{name: check and _snapshot(check, CHECKS[name]) for name, check in self._single.items()},
            **{
                kind: {name: _snapshot(check, NAMED_CHECKS[kind]) for name, check in many.items()}
                for kind, many in self._named.items()
            },
            "highest": {name: plain(self._highest[name]) for name in self._evidence if name in self._highest},
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot; a check that an older version did not have begins now. Raises `ValueError`,
        `KeyError` or `TypeError` for anything else.
        """
        for name, check in self._single.items():
            if check is not None and data.get(name) is not None:
                check.restore(mapping(data[name]))
        for name, many in self._named.items():
            stored = mapping(data.get(name, {}))
            for one in many.keys() & stored.keys():
                many[one].restore(mapping(stored[one]))
        highest = mapping(data.get("highest", {}))
        self._highest = {name: real(highest[name]) for name in self._evidence if name in highest}

    @property
    def _single(self) -> Parts:
        """Checks of which there is one, by stored name."""
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
    def _named(self) -> Mapping[str, Mapping[str, Storable]]:
        """Checks that the config names, by stored name of their kind."""
        return {"goals": self.goals, "resources": self.resources, "externals": self.externals}

    @property
    def unproven(self) -> list[str]:
        """Checks without a proof that the canary is no worse."""
        checks = (self.errors, self.latency)
        return [one.name for one in checks if one is not None and not one.dry_run and one.proof < SHOWN]


def _snapshot(check: Storable, version: int) -> Document:
    return {VERSION: version, **check.snapshot()}


def _add_samples(check: ThresholdCheck, canary: float | None, stable: float | None, samples: SampleSizes) -> None:
    if canary is None or samples.canary < MIN_REQUESTS:
        check.unread(f"fewer than {MIN_REQUESTS} requests of the canary at this weight")
    else:
        check.read(canary, stable, samples)


def shares(spec: AnalysisSpec) -> dict[str, float]:
    """The share of each check that may roll back, by its name; they sum to 1."""
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
    return ThresholdCheck(name, limits, LOOKS_BAD, dry_run=dry_run) if limits else None


def _external(spec: ExternalSpec) -> ThresholdCheck:
    limits = FixedLimits(spec.max, spec.times, spec.min)
    return ThresholdCheck(f"check:{spec.name}", limits, spec.failures, action=spec.on_failure, dry_run=spec.dry_run)


def overall_verdict(
    check_set: CheckSet, findings: Sequence[Finding], *, weight: int, aim: int, drifting: bool, judged: int
) -> tuple[Verdict, str]:
    """The verdict and its reason, for a step to the weight `aim`. `judged` is the number of the canary's requests since
    the weight last changed.
    """
    for broken in check_set.broken:
        return "fail", broken.sentence
    if check_set.evidence >= check_set.spec.alarm:
        return "fail", check_set.worst(findings).sentence
    held = next(_obstacles(check_set, findings, weight, aim, judged, drifting=drifting), "")
    return ("inconclusive", held) if held else ("pass", _all_calm(findings))


def _obstacles(
    check_set: CheckSet, findings: Sequence[Finding], weight: int, aim: int, judged: int, *, drifting: bool
) -> Iterator[str]:
    """Reasons not to advance, the most serious first."""
    spec = check_set.spec
    yield from (finding.sentence for finding in findings if _holds(finding))
    if check_set.evidence >= SUSPICIOUS_P:
        yield f"suspicious: {check_set.worst(findings).sentence}"
    if check_set.sample_ratio.alarmed:
        yield check_set.sample_ratio.finding().sentence
    for finding in findings:
        if finding.name == "errors" and (finding.stable or 0.0) >= STABLE_ILL_RATE:
            rate = wording.percent(finding.stable or 0.0)
            yield f"stable itself fails {rate} of its requests: it is no basis for a comparison"
    if drifting:
        yield "stable fails more often than before: the environment is unstable"
    if not weight:
        yield "the canary has no share of the traffic"
    if judged < spec.min_requests:
        yield f"{judged:,} canary requests were judged, {spec.min_requests:,} are wanted"
    unproven = check_set.unproven if aim > spec.prove_above else []
    if unproven:
        missing = [finding.missing for finding in findings if finding.name in unproven and finding.missing]
        yield "; ".join(missing) or f"not yet proven no worse: {' and '.join(unproven)}"
    if weight < aim == FULL_WEIGHT:
        yield from (f"{one.name}: {one.missing}" for one in findings if _lacks_samples(one))


def _lacks_samples(finding: Finding) -> bool:
    """Whether full weight has to wait until this check has enough samples."""
    return finding.name.startswith(("goal:", "resource:")) and bool(finding.missing) and not finding.dry_run


def _holds(finding: Finding) -> bool:
    """Whether this check alone holds the rollout: it failed, or an external source gives no good value."""
    failed = finding.action == "hold" and finding.verdict == "fail"
    external = finding.verdict == "inconclusive" and finding.name.startswith("check:")
    return (failed or finding.unknown or external) and not finding.dry_run


def _all_calm(findings: Sequence[Finding]) -> str:
    better = [one.name for one in findings if one.comparison == "better"]
    first = f"better: {', '.join(better)}; " if better else ""
    errors = next((one.sentence for one in findings if one.name == "errors"), "")
    return f"{first}nothing is shown to be worse{f'; {errors}' if errors else ''}"
