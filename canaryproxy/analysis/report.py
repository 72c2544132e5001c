"""What of both versions can be compared, as plain data: it is shown, and stored when a rollout has ended. Pure.

Its keys are stored, so a rename in the code changes none of them.
"""

from typing import Any

from canaryproxy.analysis.finding import Finding, JudgeReport


def report(found: JudgeReport, users: int | None) -> dict[str, Any]:
    """`users` are the canary's, None without affinity."""
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
