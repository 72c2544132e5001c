"""The results of the judge: a finding of each check, and the report with the verdict."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from canaryproxy.analysis import wording
from canaryproxy.analysis.spec import Action

# `fail`: roll back. `pass`: the rollout may advance. `inconclusive` is neither, and never advances a rollout.
Verdict = Literal["pass", "fail", "inconclusive"]

Comparison = Literal["better", "no difference shown", "worse"]

# Evidence at which a difference is shown, a goal holds the rollout and soundness is proven: wrong once in twenty.
SHOWN = 20.0

# Evidence of harm from which the rollout does not advance.
SUSPICIOUS_P = 10.0


@dataclass(frozen=True, slots=True)
class SampleSizes:
    """The number of compared units of both versions."""

    canary: int = 0
    stable: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. Values are those at the present weight; evidence is that of the whole analysis.

    `evidence` is for "worse", `better` for "better", `proof` for "no worse than allowed"; each counts from its
    threshold on. `missing` is what a pass still needs, empty for nothing. `action` follows a `worse`. `unknown`: an
    external source does not answer. `p` is an anytime-valid p-value.
    """

    name: str
    verdict: Verdict
    sentence: str
    comparison: Comparison | None = None
    canary: float | None = None
    stable: float | None = None
    ratio: float | None = None
    interval: tuple[float, float | None] | None = None
    unit: str = ""
    samples: SampleSizes = SampleSizes()
    evidence: float | None = None
    threshold: float | None = None
    better: float | None = None
    proof: float | None = None
    proof_threshold: float | None = None
    missing: str = ""
    action: Action = "rollback"
    dry_run: bool = False
    unknown: bool = False
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """Requests of the canary in the analysis, failed ones, and how many of these exceed stable's rate."""

    requests: int = 0
    failed: int = 0
    excess_failures: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """The verdict with everything behind it. `evidence` is that of all checks which may roll back, by their shares.
    `seconds` is the time since the weight last changed. `uncontrolled` is why a canary with all of the traffic is
    suspicious, empty if it is not.
    """

    verdict: Verdict
    reason: str
    evidence: float
    threshold: float
    checks: tuple[Finding, ...]
    seconds: float
    weight: int
    placebo: float = 1.0
    dry_run: bool = False
    exposed: Exposure = Exposure()
    uncontrolled: str = ""


def current_verdict(harm: float, threshold: float, *, seen: bool) -> Verdict:
    """The verdict of a check by its evidence of harm; `seen`: it has units to judge."""
    if harm >= threshold:
        return "fail"
    return "pass" if seen and harm < SUSPICIOUS_P else "inconclusive"


def until_proven(claim: str, proof: float, units: float, unit: str, pace: float) -> str:
    """How many more units the proof of a claim needs, extrapolated from the evidence of `units`, and how long that
    takes at `pace` units per second; empty if it is proven, or if the evidence falls.
    """
    more = units * (math.log(SHOWN) / math.log(proof) - 1) if 1 < proof < SHOWN else 0.0
    return f"to prove it {claim} it needs {wording.missing_text(more, unit, pace)}" if more else ""


def comparison_of(worse: float, better: float, threshold: float = SHOWN) -> Comparison:
    """The comparison by the evidence for worse and for better."""
    if worse >= threshold:
        return "worse"
    return "better" if better >= SHOWN else "no difference shown"


def report(found: JudgeReport, users: int | None) -> dict[str, Any]:
    """The comparison of both versions as plain data, which is shown, and stored when a rollout ends: a rename in the
    code must not change its keys. `users` is the number of the canary's users, None without affinity.
    """
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "weight": found.weight / 100,
        "seconds": round(found.seconds, 3),
        "exposed": {
            "requests": found.exposed.requests,
            "failed": found.exposed.failed,
            "beyond_stable": round(found.exposed.excess_failures, 3),
            "users": users,
        },
        "comparison": [_compared(one) for one in found.checks if one.comparison is not None],
    }


def _compared(check: Finding) -> dict[str, Any]:
    return {
        "name": check.name,
        "comparison": check.comparison,
        "canary": check.canary,
        "stable": check.stable,
        "ratio": check.ratio,
        "interval": None if check.interval is None else list(check.interval),
        "unit": check.unit,
        "samples": {"canary": check.samples.canary, "stable": check.samples.stable},
        "sentence": check.sentence,
    }
