"""Evidence as it was stored before it had a version, read as it is stored now. Pure.

Commit 64e2905 wrote judges down attribute by attribute, under the names that attributes had then, with marks for what
JSON has no words for. Those names are spelled out here, once and for all: they have nothing to do with what attributes
are called today. Nothing that was evidence is dropped; what a judge is made with (thresholds, weights of alternatives)
comes with its making.
"""

from collections.abc import Callable, Mapping
from typing import Any

from canaryproxy.analysis.spec import Unit
from canaryproxy.model.document import VERSION, Document, mapping, pairs, text, version_of

V = 1
"""Of the whole. 0 is the form of commit 64e2905."""

CHECKS = {
    "errors": 1,
    "latency": 1,
    "refusals": 1,
    "hard_limit": 1,
    "error_bounds": 1,
    "latency_bounds": 1,
    "sample_ratio": 1,
}
"""Versions of the evidence of single checks, by the name that it is stored under."""

NAMED_CHECKS = {"goals": 1, "resources": 1, "externals": 1}
"""Versions of the evidence of checks that the config names."""

UNITS: Mapping[str, Unit] = {"request": "request", "user": "user", "endpoint-second": "endpoint-second"}
"""What is stored of the unit of evidence -> what it is called here."""

STORED_UNITS = {unit: stored for stored, unit in UNITS.items()}

Values = dict[str, Any]


def migrated(data: Document) -> Document:
    """Evidence of any version in the form of this one. Raises `TooNewError` for a later one that must be known, and
    `ValueError`, `KeyError` or `TypeError` for what is no evidence.
    """
    return data if readable(data) else from_0(data)


def unit_named(stored: object) -> Unit:
    """The unit that is stored so. Raises `ValueError` or `TypeError`."""
    if text(stored) not in UNITS:
        raise ValueError(f"{stored!r} is nothing that is counted")
    return UNITS[text(stored)]


def readable(data: Document) -> int:
    """The version of evidence. Raises `TooNewError` where that, or the version of a check that is known, is too new to
    be acted on; `ValueError` or `TypeError` where there is none. Checks that are not known may be of any version.
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


def _restarting(was: Values) -> Document:
    return {
        "looks": was["_look"],
        "spent": was["_spent"],
        "sums": was["_sums"],
        "value": was["value"],
        "highest": was["highest"],
    }


def _product(was: Values) -> Document:
    return {"logs": was["_logs"], "value": was["value"], "highest": was["highest"]}


def _worse(was: Values) -> Document:
    floor = was["floor"]
    return {"relative": _restarting(was["relative"]), "floor": None if floor is None else _restarting(floor)}


def _lower(was: Values) -> Document:
    return {"relative": _restarting(was["relative"])}


def _less(was: Values) -> Document:
    return {"less": _restarting(was["evidence"])}


def _rate(was: Values) -> Document:
    sound = was["_sound"]
    return {
        "worse": _worse(was["_worse"]),
        "sound": {"relative": _product(sound["relative"]), "below": _product(sound["below"])},
        "better": _lower(was["_better"]),
        "all": was["_all"],
        "here": was["_here"],
        "pace": was["pace"],
        "note": was["note"],
    }


def _latency(was: Values) -> Document:
    return {
        "slower": _restarting(was["_slower"]["_evidence"]),
        "sound": _product(was["_sound"]["_evidence"]),
        "faster": _restarting(was["_faster"]["_evidence"]),
        "waiting": [pairs(side) for side in was["_waiting"]],
        "here": [pairs(side) for side in was["_here"]],
        "looks": was["_looks"],
        "judged": was["_judged"],
        "pace": was["pace"],
    }


def _goal(was: Values) -> Document:
    return {
        "fewer": _lower(was["_fewer"]),
        "more": _restarting(was["_more"]),
        "less": _less(was["_less"]),
        "richer": _less(was["_richer"]),
        "past": pairs(was["_past"]),
        "carried": was["_carried"],
        "values": was["_values"],
        "here": was["_here"],
        "worth": was["_worth"],
        "squares": was["_squares"],
    }


def _resource(was: Values) -> Document:
    return {"ratio": {"logs": was["_ratio"]["logs"]}, "last": was["_last"]}


def _threshold(was: Values) -> Document:
    return {
        "bad": was["_bad"],
        "values": was["_values"],
        "broken": was["_words"],
        "problem": was["_problem"],
        "samples": was["_samples"],
    }


def _hard_limit(was: Values) -> Document:
    return {"reports": was["_reports"], "open": was["_open"], "passed": was["_said"]}


def _sample_ratio(was: Values) -> Document:
    return {
        "logs": was["_ratio"]["_logs"],
        "canary": was["_ratio"]["canary"],
        "total": was["_ratio"]["total"],
        "expected": was["_ratio"]["expected"],
    }


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


def _panel(was: Values) -> Document:
    """A check that was off was stored as null."""
    return {
        **{name: was[old] and {VERSION: CHECKS[name], **read(was[old])} for name, (old, read) in SINGLE.items()},
        **{
            kind: {name: {VERSION: NAMED_CHECKS[kind], **read(check)} for name, check in was[kind].items()}
            for kind, read in NAMED.items()
        },
        "highest": was["_highest"],
    }


def _drift(was: Values) -> Document:
    return {"past": was["_past"], "alarmed_for": was["_alarmed_for"], "sum": was["sum"]}


def _dispersion(was: Values) -> Document:
    """Its times were those of a clock that begins with the machine; only how long it was watched is known to others."""
    seen = was["_counted"]
    return {
        "seconds": max(was["_last"] - was["_first"], 0),
        "failed": {endpoint: _moments(one) for endpoint, one in seen["failed"].items()},
        "failed_seconds": {endpoint: _moments(one) for endpoint, one in seen["seconds"].items()},
    }


def _moments(was: list[Any]) -> Document:
    windows, total, squares, unfinished = was
    return {"windows": windows, "total": total, "squares": squares, "open": unfinished}


def _placebo(was: Values) -> Document:
    return {"worse": _worse(was["_worse"]), "carried": was["_carried"], "factor": was["factor"]}


def _at_risk(was: Values) -> Document:
    return {"seen": was["seen"], "gone": was["gone"]}
