"""What of both versions can be compared, as plain data: it is shown, and kept when a rollout has ended. Pure."""

from dataclasses import asdict
from typing import Any

from canaryproxy.analysis.finding import Analysis

COMPARED = (
    "name", "comparison", "canary", "stable", "ratio", "interval", "unit", "samples", "sentence",
)  # fmt: skip
"""What is said of a check."""


def report(found: Analysis, users: int | None) -> dict[str, Any]:
    """`users` are the canary's, None without affinity."""
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "weight": found.weight / 100,
        "seconds": round(found.seconds, 3),
        "exposed": {
            "requests": found.exposed.requests,
            "failed": found.exposed.failed,
            "beyond_stable": round(found.exposed.beyond, 3),
            "users": users,
        },
        "comparison": [
            {name: _plain(asdict(one)[name]) for name in COMPARED} for one in found.checks if one.comparison is not None
        ],
    }


def _plain(value: object) -> object:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value
