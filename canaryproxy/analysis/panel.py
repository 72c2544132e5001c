"""The checks of a route, and the verdict that they come to.

A canary is taken back when the evidence of harm, each check weighed by its share, reaches the alarm: a mean of
e-values is an e-value, so the chance of a false alarm holds for all checks together (Vovk and Wang 2021). Fixed bounds
fail by themselves.
"""

from collections.abc import Iterator, Sequence

from canaryproxy.analysis.checks.errors import RateCheck
from canaryproxy.analysis.checks.goals import GoalCheck
from canaryproxy.analysis.checks.hard_limit import HardLimitCheck
from canaryproxy.analysis.checks.latency import LatencyCheck
from canaryproxy.analysis.checks.resources import ResourceCheck
from canaryproxy.analysis.checks.sample_ratio import SampleRatioCheck
from canaryproxy.analysis.checks.thresholds import Bounds, ThresholdCheck
from canaryproxy.analysis.finding import SHOWN, SUSPICIOUS, Finding, Verdict
from canaryproxy.analysis.spec import Limits, Spec, Unit

SHARES = {"errors": 0.5, "latency": 0.3, "goals": 0.2}
"""Of the evidence, among those that are there."""

LOOKS_BAD = 5
"""Looks in a row after which one of our own fixed bounds is broken."""


class Panel:
    """Everything that judges one canary, from the beginning of its evidence."""

    def __init__(self, spec: Spec, unit: Unit) -> None:
        parts = shares(spec)
        errors, latency, refusals = spec.errors, spec.latency, spec.refusals
        self.spec = spec
        self._shares = parts
        self.errors = None
        if errors is not None:
            self.errors = RateCheck(
                "errors", "failed", errors.tolerance, errors.floor, spec.alarm / parts.get("errors", 1.0),
                dry_run=errors.dry_run,
            )  # fmt: skip
            self.errors.unit = unit
        self.latency = None if latency is None else LatencyCheck(latency, spec.alarm / parts.get("latency", 1.0))
        self.refusals = None
        if refusals is not None:
            self.refusals = RateCheck(
                "refusals", "answered 4xx to", refusals.tolerance, refusals.floor,
                _threshold(refusals.on_harm, spec.alarm), action=refusals.on_harm, dry_run=refusals.dry_run,
            )  # fmt: skip
        goal_unit: Unit = "user" if unit == "user" else "request"
        self.goals = {}
        for goal in spec.goals:
            alarm = spec.alarm / parts.get(f"goal:{goal.goal}", 1.0)
            self.goals[goal.goal] = GoalCheck(goal, _threshold(goal.on_harm, alarm), goal_unit)
        self.resources = {one.name: ResourceCheck(one) for one in spec.resources}
        self.externals = {
            one.name: ThresholdCheck(
                f"check:{one.name}", Bounds(one.most, one.least, one.times), one.failures, action=one.on_harm,
                dry_run=one.dry_run,
            )
            for one in spec.externals
        }  # fmt: skip
        self.limit = None if spec.limits is None else HardLimitCheck(spec.limits)
        self.error_bounds = None if errors is None else _bounds("errors:limits", errors.limits, dry_run=errors.dry_run)
        self.latency_bounds = (
            None if latency is None else _bounds("latency:limits", latency.limits, dry_run=latency.dry_run)
        )
        self.sample_ratio = SampleRatioCheck(goal_unit)

    def __repr__(self) -> str:
        return f"<Panel: evidence {self.evidence:.3g}>"

    def step(self) -> None:
        """The weight has changed."""
        for one in (self.errors, self.latency, self.refusals, *self.goals.values(), *self.bounds):
            if one is not None:
                one.step()

    @property
    def bounds(self) -> Iterator[ThresholdCheck]:
        """All checks against fixed bounds."""
        for one in (self.error_bounds, self.latency_bounds, *self.externals.values()):
            if one is not None:
                yield one

    @property
    def evidence(self) -> float:
        """That the canary is worse, of all checks that may take it back."""
        checks = {"errors": self.errors, "latency": self.latency, **{one.name: one for one in self.goals.values()}}
        harms = [share * one.harm for name, share in self._shares.items() if (one := checks[name]) is not None]
        return sum(harms) if harms else 1.0

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
            self.errors, self.latency, self.refusals, *self.goals.values(), *self.resources.values(), *self.bounds,
            self.limit, self.sample_ratio,
        )  # fmt: skip
        return tuple(one.finding() for one in checks if one is not None)

    @property
    def unproven(self) -> list[str]:
        """Checks without proof that the canary is no worse."""
        return [
            one.name for one in (self.errors, self.latency)
            if one is not None and not one.dry_run and one.proof < SHOWN
        ]  # fmt: skip


def shares(spec: Spec) -> dict[str, float]:
    """The share of each check that may take the canary back, by its name."""
    parts = {
        name: SHARES[name]
        for name, one in (("errors", spec.errors), ("latency", spec.latency))
        if one is not None and not one.dry_run
    }
    goals = [f"goal:{goal.goal}" for goal in spec.goals if goal.on_harm == "rollback" and not goal.dry_run]
    parts |= {goal: SHARES["goals"] / len(goals) for goal in goals}
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}


def _threshold(action: str, alarm: float) -> float:
    """What it takes to hold is less than what it takes to go back."""
    return alarm if action == "rollback" else min(SHOWN, alarm)


def _bounds(name: str, limits: Limits, *, dry_run: bool) -> ThresholdCheck | None:
    if not limits:
        return None
    return ThresholdCheck(name, Bounds(limits.most, None, limits.times), LOOKS_BAD, dry_run=dry_run)


def verdict_of(
    panel: Panel, findings: Sequence[Finding], *, weight: int, drifting: bool, judged: int
) -> tuple[Verdict, str]:
    """The verdict with its reason in a sentence. `judged` are the canary's requests since the weight last changed."""
    failing = _failing(panel, findings)
    if failing:
        return "fail", failing
    held = next(_obstacles(panel, findings, weight, judged, drifting=drifting), "")
    return ("inconclusive", held) if held else ("pass", _calm(findings))


def _failing(panel: Panel, findings: Sequence[Finding]) -> str:
    """Why the canary is to be taken back; empty if it is not."""
    for broken in panel.broken:
        return broken.sentence
    return _worst(findings).sentence if panel.evidence >= panel.spec.alarm else ""


def _obstacles(panel: Panel, findings: Sequence[Finding], weight: int, judged: int, *, drifting: bool) -> Iterator[str]:
    """What stands against going on, the most serious first."""
    spec = panel.spec
    yield from filter(None, (_holds(finding) for finding in findings if not finding.dry_run))
    if panel.evidence >= SUSPICIOUS:
        yield f"suspicious: {_worst(findings).sentence}"
    if panel.sample_ratio.alarmed:
        yield panel.sample_ratio.finding().sentence
    if drifting:
        yield "stable fails more than it used to: the environment is unstable"
    if not weight:
        yield "the canary has no share of the traffic"
    if judged < spec.min_requests:
        yield f"{judged:,} canary requests were judged, {spec.min_requests:,} are wanted"
    unproven = panel.unproven if weight > spec.prove_above else []
    if unproven:
        missing = [finding.missing for finding in findings if finding.name in unproven and finding.missing]
        yield "; ".join(missing) or f"not proven no worse yet: {' and '.join(unproven)}"


def _worst(findings: Sequence[Finding]) -> Finding:
    """The check that says most of harm, among those that may take the canary back."""
    able = [
        one for one in findings
        if one.action == "rollback" and not one.dry_run and one.proof is not None and one.evidence is not None
    ]  # fmt: skip
    able += [one for one in findings if one.name.startswith("goal:") and one.action == "rollback" and not one.dry_run]
    return max(able, key=lambda one: one.evidence or 0.0)


def _holds(finding: Finding) -> str:
    """Why this check lets nothing go on; empty if it does."""
    if finding.action == "hold" and finding.verdict == "fail":
        return finding.sentence
    if finding.verdict == "inconclusive" and finding.name.startswith("check:"):
        return finding.sentence
    return ""


def _calm(findings: Sequence[Finding]) -> str:
    better = [one.name for one in findings if one.comparison == "better"]
    said = f"better: {', '.join(better)}; " if better else ""
    errors = next((one.sentence for one in findings if one.name == "errors"), "")
    return f"{said}nothing is shown to be worse{f'; {errors}' if errors else ''}"
