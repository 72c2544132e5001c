"""Verdicts, rollouts and reports of a route as the API shows them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from canaryproxy.admin import models as api
from canaryproxy.admin import rollout_models as models
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.analysis.finding import Finding, JudgeReport
from canaryproxy.analysis.stats.eprocess import MAX_FACTOR
from canaryproxy.rollout.record import RolloutRecord, records


def analysis_of(route: str, found: JudgeReport) -> api.AnalysisDocument:
    """The verdict with every check."""
    return api.AnalysisDocument(
        route=route,
        verdict=found.verdict,
        reason=found.reason,
        evidence=_evidence(found.evidence) or 0.0,
        threshold=_evidence(found.threshold) or 0.0,
        seconds=round(found.seconds, 3),
        weight=found.weight / 100,
        placebo=round(found.placebo, 4),
        dry_run=found.dry_run,
        checks=[_check(one) for one in found.checks],
    )


def _check(found: Finding) -> api.CheckDocument:
    data = asdict(found)
    data["interval"] = None if found.interval is None else list(found.interval)
    for name in ("evidence", "threshold", "better", "proof"):
        data[name] = _evidence(data[name])
    return api.CheckDocument(**data)


def _evidence(value: float | None) -> float | None:
    """Rounded to six digits, and at most `MAX_FACTOR`: more evidence means the same."""
    return None if value is None else float(f"{min(value, MAX_FACTOR):.6g}")


def rollouts_of(views: Views, route: str) -> models.RolloutsDocument:
    """The rollouts that the route remembers."""
    return models.RolloutsDocument(route=route, rollouts=[_shown(route, one) for one in _records(views, route)])


def rollout_of(views: Views, route: str, wanted: str) -> models.RolloutRecordDocument:
    """A rollout by its id. Raises `ApiError`."""
    return _shown(route, _found(views, route, wanted))


def report_of(views: Views, route: str, wanted: str | None = None) -> models.ReportDocument:
    """Comparison of canary and stable in a rollout: the current one while it is under way, else the one at its end.
    `wanted` is an id; without it, the last rollout. Raises `ApiError`.
    """
    known = _records(views, route)
    record = _found(views, route, wanted) if wanted is not None else (known[0] if known else None)
    found: Mapping[str, Any] = {} if record is None or record.result == "under_way" else record.report
    about: dict[str, Any] = {} if record is None else _shown(route, record).model_dump()
    about["rollout_id"] = about.get("id")
    shared = ("rollout_id", "stable_version", "canary_version", "result", "why", "began", "ended")
    compared: Mapping[str, Any] = found or views.plane.observations.report(route)
    data: dict[str, Any] = {name: about.get(name) for name in shared}
    return models.ReportDocument(route=route, **data, **compared)


def _records(views: Views, route: str) -> list[RolloutRecord]:
    state = views.plane.ledger.state[route]
    return records(state.past, replace(state.rollout, identity=views.plane.versions.identity(route)))


def _found(views: Views, route: str, wanted: str) -> RolloutRecord:
    known = _records(views, route)
    for one in known:
        if one.identity.id == wanted:
            return one
    raise ApiError("no-such-rollout", f"the last rollouts are: {', '.join(one.identity.id for one in known) or 'none'}")


def _shown(route: str, record: RolloutRecord) -> models.RolloutRecordDocument:
    return models.RolloutRecordDocument(
        route=route,
        id=record.identity.id,
        stable_version=record.identity.stable or None,
        canary_version=record.identity.canary or None,
        result=record.result,
        reason=record.reason or None,
        why=record.why or None,
        superseded_by=record.superseded_by or None,
        began=record.began or None,
        ended=record.ended or None,
    )
