"""What the API shows of a route's last rollouts: which they were, how they ended, and their reports."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from canaryproxy.admin import rollout_models as models
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.rollout.record import RolloutRecord, records


def rollouts_of(views: Views, route: str) -> models.RolloutsDocument:
    """All that are remembered."""
    return models.RolloutsDocument(route=route, rollouts=[_shown(route, one) for one in _records(views, route)])


def rollout_of(views: Views, route: str, wanted: str) -> models.RolloutRecordDocument:
    """One of them, by its id. Raises `ApiError`."""
    return _shown(route, _found(views, route, wanted))


def report_of(views: Views, route: str, wanted: str | None = None) -> models.ReportDocument:
    """What a rollout's canary was like beside stable: as it is now while it is under way, else at its end. Without an
    id, that of the last rollout. Raises `ApiError`.
    """
    known = _records(views, route)
    record = _found(views, route, wanted) if wanted is not None else (known[0] if known else None)
    found: Mapping[str, Any] = {} if record is None or record.result == "under_way" else record.report
    return models.ReportDocument(
        route=route,
        rollout_id=None if record is None else record.identity.id,
        stable_version=None if record is None else record.identity.stable or None,
        canary_version=None if record is None else record.identity.canary or None,
        result=None if record is None else record.result,
        why=None if record is None else record.why or None,
        began=None if record is None else record.began or None,
        ended=None if record is None else record.ended or None,
        **(found or views.plane.observations.report(route)),
    )


def _records(views: Views, route: str) -> list[RolloutRecord]:
    state = views.plane.ledger.state[route]
    return records(state.past, replace(state.rollout, identity=views.plane.versions.identity(route)))


def _found(views: Views, route: str, wanted: str) -> RolloutRecord:
    known = _records(views, route)
    for one in known:
        if one.identity.id == wanted:
            return one
    raise ApiError("no-such-rollout", f"the last ones are: {', '.join(one.identity.id for one in known) or 'none'}")


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
