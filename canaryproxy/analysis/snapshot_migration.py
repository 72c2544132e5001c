"""Versions of stored evidence, and the migration of version 0 to the present form. Pure.

Commit 64e2905 stored judges attribute by attribute, under the names of the attributes at that time, with marks for
types that JSON does not have. The tables below spell those names out; they are independent of the present names of
attributes. No evidence is lost. Thresholds and weights of alternatives come from the config, so they are not migrated.
"""

from collections.abc import Mapping
from typing import Any

from canaryproxy.analysis.spec import Unit
from canaryproxy.model.document import VERSION, Document, mapping, pairs, text, version_of

# Version of the whole. 0 is the form of commit 64e2905.
V = 1

# Versions of the evidence of single checks, by stored name.
CHECKS = {
    "errors": 1,
    "latency": 1,
    "refusals": 1,
    "hard_limit": 1,
    "error_bounds": 1,
    "latency_bounds": 1,
    "sample_ratio": 1,
}

# Versions of the evidence of checks that the config names, by kind.
NAMED_CHECKS = {"goals": 1, "resources": 1, "externals": 1}

# Stored name of a unit of evidence -> name in the code.
UNITS: Mapping[str, Unit] = {"request": "request", "user": "user", "endpoint-second": "endpoint-second"}

STORED_UNITS = {unit: stored for stored, unit in UNITS.items()}


def migrated(data: Document) -> Document:
    """Evidence of any version in the present form. Raises `TooNewError` for a later version that this one must not act
    on, and `ValueError`, `KeyError` or `TypeError` for anything else that is not evidence.
    """
    return data if readable(data) else from_0(data)


def unit_named(stored: object) -> Unit:
    """The unit with this stored name. Raises `ValueError` or `TypeError`."""
    if text(stored) not in UNITS:
        raise ValueError(f"{stored!r} is no unit of evidence")
    return UNITS[text(stored)]


def readable(data: Document) -> int:
    """The version of evidence. Raises `TooNewError` if that, or the version of a known check, is too new to act on;
    `ValueError` or `TypeError` if there is none. Unknown checks may be of any version.
    """
    version = version_of(data, V, "evidence")
    checks = mapping(data.get("panel", {}))
    for name, known in CHECKS.items():
        if checks.get(name) is not None:
            version_of(mapping(checks[name]), known, f"evidence of {name}")
    for kind, known in NAMED_CHECKS.items():
        for name, check in mapping(checks.get(kind, {})).items():
            version_of(mapping(check), known, f"evidence of {kind} {name}")
    return version


def without_marks(value: Any) -> Any:
    """A value without the marks of its type: objects and mappings as dicts, all other containers as lists."""
    if isinstance(value, list):
        return [without_marks(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "f" in value:
        return value["f"]
    if "a" in value:
        return {name: without_marks(one) for name, one in value["a"].items()}
    if "d" in value:
        return {without_marks(key): without_marks(one) for key, one in value["d"]}
    for mark in ("t", "s", "q", "v"):
        if mark in value:
            return [without_marks(one) for one in value[mark]]
    raise ValueError("a stored value has a mark of no known kind")


# Stored name -> path of the attribute in version 0; or that path with a form or a function for its value.
Form = Mapping[str, Any]


def _converted(was: Any, form: Form) -> Any:
    """Attributes of version 0 in the present form. A part that was off is None."""
    if was is None:
        return None
    found: Document = {}
    for name, rule in form.items():
        path, below = rule if isinstance(rule, tuple) else (rule, None)
        value = was
        for part in path.split("."):
            value = value[part]
        if isinstance(below, dict):
            value = _converted(value, below)
        found[name] = below(value) if callable(below) else value
    return found


def _sides(was: list[Any]) -> list[Any]:
    return [pairs(side) for side in was]


def _dispersion(was: Document) -> Document:
    # Times were those of a clock that begins with the machine, so only the duration is kept.
    seen = was["_counted"]
    return {
        "seconds": max(was["_last"] - was["_first"], 0),
        "failed": {endpoint: _moments(one) for endpoint, one in seen["failed"].items()},
        "failed_seconds": {endpoint: _moments(one) for endpoint, one in seen["seconds"].items()},
    }


def _moments(was: list[Any]) -> Document:
    return dict(zip(("windows", "total", "squares", "open"), was, strict=True))


DETECTOR = {"looks": "_look", "spent": "_spent", "sums": "_sums", "value": "value", "highest": "highest"}
PROCESS = {"logs": "_logs", "value": "value", "highest": "highest"}
WORSE = {"relative": ("relative", DETECTOR), "floor": ("floor", DETECTOR)}
LOWER = {"relative": ("relative", DETECTOR)}
LESS = {"less": ("evidence", DETECTOR)}
AT_RISK = {"seen": "seen", "gone": "gone"}
RATE: Form = {
    "worse": ("_worse", WORSE),
    "sound": ("_sound", {"relative": ("relative", PROCESS), "below": ("below", PROCESS)}),
    "better": ("_better", LOWER),
    "all": "_all",
    "here": "_here",
    "pace": "pace",
    "note": "note",
}
LATENCY: Form = {
    "slower": ("_slower._evidence", DETECTOR),
    "sound": ("_sound._evidence", PROCESS),
    "faster": ("_faster._evidence", DETECTOR),
    "waiting": ("_waiting", _sides),
    "here": ("_here", _sides),
    "looks": "_looks",
    "judged": "_judged",
    "pace": "pace",
}
GOAL: Form = {
    "fewer": ("_fewer", LOWER),
    "more": ("_more", DETECTOR),
    "less": ("_less", LESS),
    "richer": ("_richer", LESS),
    "past": ("_past", pairs),
    "carried": "_carried",
    "values": "_values",
    "here": "_here",
    "worth": "_worth",
    "squares": "_squares",
}
RESOURCE: Form = {"ratio": ("_ratio", {"logs": "logs"}), "last": "_last"}
THRESHOLD: Form = {"bad": "_bad", "values": "_values", "broken": "_words", "problem": "_problem", "samples": "_samples"}
HARD_LIMIT: Form = {"reports": "_reports", "open": "_open", "passed": "_said"}
SAMPLE_RATIO: Form = {
    "logs": "_ratio._logs",
    "canary": "_ratio.canary",
    "total": "_ratio.total",
    "expected": "_ratio.expected",
}
SINGLE: dict[str, tuple[str, Form]] = {
    "errors": ("errors", RATE),
    "latency": ("latency", LATENCY),
    "refusals": ("refusals", RATE),
    "hard_limit": ("limit", HARD_LIMIT),
    "error_bounds": ("error_bounds", THRESHOLD),
    "latency_bounds": ("latency_bounds", THRESHOLD),
    "sample_ratio": ("sample_ratio", SAMPLE_RATIO),
}
NAMED: dict[str, Form] = {"goals": GOAL, "resources": RESOURCE, "externals": THRESHOLD}


def _panel(was: Document) -> Document:
    """The checks. A check that was off was stored as null."""
    return {
        **{
            name: was[old] and {VERSION: CHECKS[name], **_converted(was[old], form)}
            for name, (old, form) in SINGLE.items()
        },
        **{
            kind: {name: {VERSION: NAMED_CHECKS[kind], **_converted(check, form)} for name, check in was[kind].items()}
            for kind, form in NAMED.items()
        },
        "highest": was["_highest"],
    }


JUDGE: Form = {
    "stable": (
        "stable",
        {
            "latencies": ("_past._counts", pairs),
            "drift": ("_drift", {"past": "_past", "alarmed_for": "_alarmed_for", "sum": "sum"}),
            "dispersion": ("_dispersion", _dispersion),
            "looks": "_known._looks",
        },
    ),
    "panel": ("panel", _panel),
    "exposed": ("_exposed", {"requests": "requests", "failed": "failed", "expected": "expected"}),
    "placebo": ("_placebo", {"worse": ("_worse", WORSE), "carried": "_carried", "factor": "factor"}),
    "at_risk": ("_risk", AT_RISK),
    "judged": "_judged",
    "requests": "_requests",
    "endpoints": "_endpoints",
}


def from_0(data: Document) -> Document:
    """Version 0 in the present form."""
    failed = data["failed"]
    learnt = {name: without_marks(one) for name, one in mapping(data["learnt"]).items()}
    return {
        VERSION: V,
        **{name: data[name] for name in ("unit", "weight", "seconds", "warm")},
        "failed": None if failed is None else {"reason": failed[0], "evidence": failed[1]},
        **_converted({**learnt, "stable": learnt}, JUDGE),
        "goals_at_risk": {goal: _converted(one, AT_RISK) for goal, one in learnt["_goals_risk"].items()},
    }
