"""What the API shows of a route's last rollouts: which they were, how they ended, and their reports."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from canaryproxy.admin import rollout_models as models
from canaryproxy.admin.problems import Problem
from canaryproxy.admin.views import Knowledge
from canaryproxy.rollout.record import RolloutRecord, records


def rollouts_of(knowledge: Knowledge, route: str) -> models.Rollouts:
    """All that are remembered."""
    return models.Rollouts(route=route, rollouts=[_shown(route, one) for one in _records(knowledge, route)])


def rollout_of(knowledge: Knowledge, route: str, wanted: str) -> models.RolloutRecord:
    """One of them, by its id. Raises `Problem`."""
    return _shown(route, _found(knowledge, route, wanted))


def report_of(knowledge: Knowledge, route: str, wanted: str | None = None) -> models.Report:
    """What a rollout's canary was like beside stable: as it is now while it is under way, else at its end. Without an
    id, that of the last rollout. Raises `Problem`.
    """
    known = _records(knowledge, route)
    record = _found(knowledge, route, wanted) if wanted is not None else (known[0] if known else None)
    found: Mapping[str, Any] = {} if record is None or record.result == "under_way" else record.report
    return models.Report(
        route=route,
        rollout_id=None if record is None else record.identity.id,
        stable_version=None if record is None else record.identity.stable or None,
        canary_version=None if record is None else record.identity.canary or None,
        result=None if record is None else record.result,
        why=None if record is None else record.why or None,
        began=None if record is None else record.began or None,
        ended=None if record is None else record.ended or None,
        **(found or knowledge.plane.observations.report(route)),
    )


def _records(knowledge: Knowledge, route: str) -> list[RolloutRecord]:
    state = knowledge.plane.ledger.state[route]
    return records(state.past, replace(state.rollout, identity=knowledge.plane.versions.identity(route)))


def _found(knowledge: Knowledge, route: str, wanted: str) -> RolloutRecord:
    known = _records(knowledge, route)
    for one in known:
        if one.identity.id == wanted:
            return one
    raise Problem("no-such-rollout", f"the last ones are: {', '.join(one.identity.id for one in known) or 'none'}")


def _shown(route: str, record: RolloutRecord) -> models.RolloutRecord:
    return models.RolloutRecord(
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
