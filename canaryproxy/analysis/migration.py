"""Evidence as it was stored before it had a version, read as it is stored now. Pure.

Commit 64e2905 wrote judges down attribute by attribute, under the names that attributes had then, with marks for what
JSON has no words for. Those names are spelled out here, once and for all: they have nothing to do with what attributes
are called today. Nothing that was evidence is dropped; what a judge is made with (thresholds, weights of alternatives)
comes with its making.
"""

from collections.abc import Callable
from typing import Any

from canaryproxy.model.document import VERSION, Document, mapping, pairs, version_of

V = 1
"""0 is the form of commit 64e2905."""

Values = dict[str, Any]


def migrated(data: Document) -> Document:
    """Evidence of any version in the form of this one. Raises `TooNewError` for a later one that must be known, and
    `ValueError`, `KeyError` or `TypeError` for what is no evidence.
    """
    return data if version_of(data, V, "evidence") else from_0(data)


def from_0(data: Document) -> Document:
    """The form without a version."""
    failed = data["failed"]
    learnt: Values = {name: without_marks(one) for name, one in mapping(data["learnt"]).items()}
    return {
        VERSION: V,
        "unit": data["unit"],
        "weight": data["weight"],
        "seconds": data["seconds"],
        "warm": data["warm"],
        "failed": None if failed is None else {"reason": failed[0], "evidence": failed[1]},
        "stable": {
            "latencies": pairs(learnt["_past"]["_counts"]),
            "drift": _drift(learnt["_drift"]),
            "dispersion": _dispersion(learnt["_dispersion"]),
            "looks": learnt["_known"]["_looks"],
        },
        "panel": _panel(learnt["panel"]),
        "exposed": {name: learnt["_exposed"][name] for name in ("requests", "failed", "expected")},
        "placebo": _placebo(learnt["_placebo"]),
        "at_risk": _at_risk(learnt["_risk"]),
        "goals_at_risk": {goal: _at_risk(one) for goal, one in learnt["_goals_risk"].items()},
        "judged": learnt["_judged"],
        "requests": learnt["_requests"],
        "endpoints": learnt["_endpoints"],
    }


def without_marks(value: Any) -> Any:
    """A value without the marks of its kind: objects and mappings as dicts, all other containers as lists."""
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
    raise ValueError("what was stored is of no kind that is known")


def _restarting(told: Values) -> Document:
    return {
        "looks": told["_look"], "spent": told["_spent"], "sums": told["_sums"], "value": told["value"],
        "highest": told["highest"],
    }  # fmt: skip


def _product(told: Values) -> Document:
    return {"logs": told["_logs"], "value": told["value"], "highest": told["highest"]}


def _worse(told: Values) -> Document:
    floor = told["floor"]
    return {"relative": _restarting(told["relative"]), "floor": None if floor is None else _restarting(floor)}


def _lower(told: Values) -> Document:
    return {"relative": _restarting(told["relative"])}


def _less(told: Values) -> Document:
    return {"less": _restarting(told["evidence"])}


def _rate(told: Values) -> Document:
    sound = told["_sound"]
    return {
        "worse": _worse(told["_worse"]),
        "sound": {"relative": _product(sound["relative"]), "below": _product(sound["below"])},
        "better": _lower(told["_better"]),
        "all": told["_all"], "here": told["_here"], "pace": told["pace"], "note": told["note"],
    }  # fmt: skip


def _latency(told: Values) -> Document:
    return {
        "slower": _restarting(told["_slower"]["_evidence"]),
        "sound": _product(told["_sound"]["_evidence"]),
        "faster": _restarting(told["_faster"]["_evidence"]),
        "waiting": [pairs(side) for side in told["_waiting"]],
        "here": [pairs(side) for side in told["_here"]],
        "looks": told["_looks"], "judged": told["_judged"], "pace": told["pace"],
    }  # fmt: skip


def _goal(told: Values) -> Document:
    return {
        "fewer": _lower(told["_fewer"]), "more": _restarting(told["_more"]), "less": _less(told["_less"]),
        "richer": _less(told["_richer"]), "past": pairs(told["_past"]), "carried": told["_carried"],
        "values": told["_values"], "here": told["_here"], "worth": told["_worth"], "squares": told["_squares"],
    }  # fmt: skip


def _resource(told: Values) -> Document:
    return {"ratio": {"logs": told["_ratio"]["logs"]}, "last": told["_last"]}


def _threshold(told: Values) -> Document:
    return {
        "bad": told["_bad"], "values": told["_values"], "broken": told["_words"], "problem": told["_problem"],
        "samples": told["_samples"],
    }  # fmt: skip


def _hard_limit(told: Values) -> Document:
    return {"reports": told["_reports"], "open": told["_open"], "passed": told["_said"]}


def _sample_ratio(told: Values) -> Document:
    return {
        "logs": told["_ratio"]["_logs"], "canary": told["_ratio"]["canary"], "total": told["_ratio"]["total"],
        "expected": told["_ratio"]["expected"],
    }  # fmt: skip


SINGLE: dict[str, tuple[str, Callable[[Values], Document]]] = {
    "errors": ("errors", _rate),
    "latency": ("latency", _latency),
    "refusals": ("refusals", _rate),
    "hard_limit": ("limit", _hard_limit),
    "error_bounds": ("error_bounds", _threshold),
    "latency_bounds": ("latency_bounds", _threshold),
    "sample_ratio": ("sample_ratio", _sample_ratio),
}
NAMED: dict[str, Callable[[Values], Document]] = {
    "goals": _goal,
    "resources": _resource,
    "externals": _threshold,
}


def _panel(told: Values) -> Document:
    """A check that was off was stored as null."""
    return {
        **{name: told[old] and read(told[old]) for name, (old, read) in SINGLE.items()},
        **{name: {one: read(check) for one, check in told[name].items()} for name, read in NAMED.items()},
        "highest": told["_highest"],
    }


def _drift(told: Values) -> Document:
    return {"past": told["_past"], "alarmed_for": told["_alarmed_for"], "sum": told["sum"]}


def _dispersion(told: Values) -> Document:
    """Its times were those of a clock that begins with the machine; only how long it was watched is known to others."""
    seen = told["_counted"]
    return {
        "seconds": max(told["_last"] - told["_first"], 0),
        "failed": {endpoint: _moments(one) for endpoint, one in seen["failed"].items()},
        "failed_seconds": {endpoint: _moments(one) for endpoint, one in seen["seconds"].items()},
    }


def _moments(told: list[Any]) -> Document:
    windows, total, squares, unfinished = told
    return {"windows": windows, "total": total, "squares": squares, "open": unfinished}


def _placebo(told: Values) -> Document:
    return {"worse": _worse(told["_worse"]), "carried": told["_carried"], "factor": told["factor"]}


def _at_risk(told: Values) -> Document:
    return {"seen": told["seen"], "gone": told["gone"]}
