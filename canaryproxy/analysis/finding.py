"""What the judge says: of each check, and of the whole."""

import math
from dataclasses import dataclass
from typing import Literal

from canaryproxy.analysis.spec import Action

Verdict = Literal["pass", "fail", "inconclusive"]
"""`fail`: take it back. `pass`: nothing stands against going on. `inconclusive` is neither, and never advances."""

Comparison = Literal["better", "no difference shown", "worse"]

SHOWN = 20.0
"""Evidence at which a difference is called one (wrong once in twenty), goals hold, and soundness is proven."""

SUSPICIOUS_P = 10.0
"""Evidence of harm at which nothing is raised any more."""


@dataclass(frozen=True, slots=True)
class SampleSizes:
    """Units of both versions that were compared."""

    canary: int = 0
    stable: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. Values are of the weight as it is now; evidence is of all since the canary is judged.

    `evidence` is for "worse", `better` for "better", `proof` for "no worse than allowed"; each counts from its
    threshold on. `missing` says what a pass still wants; empty for nothing. `action` is what a `worse` leads to.
    `unknown`: an external source does not answer. `p` is a p-value that may be looked at at any time.
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
    """What the canary was trusted with since it is judged: requests, those it failed, and by how many those are more
    than they would have been at stable's rate.
    """

    requests: int = 0
    failed: int = 0
    excess_failures: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """The whole. `evidence` is that of all checks which may take the canary back, by their shares. `seconds` are those
    since the weight last changed. `uncontrolled` says why a canary with all of the traffic is suspicious.
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
    """The verdict of a check by its evidence of harm; `seen`: there was something to judge."""
    if harm >= threshold:
        return "fail"
    return "pass" if seen and harm < SUSPICIOUS_P else "inconclusive"


def until_proven(proof: float, units: float) -> float | None:
    """How many more units a proof takes if it goes on as it did with so many; None if it is there, or recedes."""
    if proof <= 1 or proof >= SHOWN:
        return None
    return units * (math.log(SHOWN) / math.log(proof) - 1)


def comparison_of(worse: float, better: float, threshold: float = SHOWN) -> Comparison:
    """What the evidence of both sides amounts to."""
    if worse >= threshold:
        return "worse"
    return "better" if better >= SHOWN else "no difference shown"
