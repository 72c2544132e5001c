"""Rollouts of a route, their verdict and their reports."""

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag
from canaryproxy.admin.operation import ROUTE, Handler, Operation, change_of, checked, read, shown
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.rollout_models import (
    VERBS,
    BeginBody,
    ReportDocument,
    RolloutDocument,
    RolloutRecordDocument,
    RolloutsDocument,
    body_of,
)
from canaryproxy.admin.rollout_views import analysis_of, report_of, rollout_of, rollouts_of
from canaryproxy.admin.views import VERDICTS
from canaryproxy.rollout.state import Verb


def _report(call: ApiCall) -> ReportDocument:
    return report_of(call.views, call.route, call.path.get("rollout"))


def _verb(verb: Verb) -> Handler:
    async def run(call: ApiCall) -> ApiResponse:
        route = call.route
        body = checked(body_of(verb), call.body)
        version, stable = (body.version, body.stable_version) if isinstance(body, BeginBody) else ("", "")
        only = body.rollout_id or ""
        change = call.views.plane.rollouts.do(
            route, verb, call.actor, full=body.full, version=version, stable=stable, only=only, revision=call.revision
        )
        done = await after_change(call, change)
        answer, mine = call.views.rollout(call.route), done.rollout.identity.id
        if answer.id is not None and answer.id != mine:
            answer = answer.model_copy(update={"id": mine})
        return ApiResponse(answer, headers={"ETag": tag(done.revision)})

    return run


async def _is_verdict(call: ApiCall) -> ApiResponse:
    wanted = call.path["verdict"]
    if wanted not in VERDICTS:
        raise ApiError("invalid", f"verdict: expected {', '.join(VERDICTS)}")
    found = call.views.plane.judges.analysis(call.route, call.views.now())
    if found.verdict != wanted:
        raise ApiError("verdict-changed", f"{found.verdict}: {found.reason}")
    return ApiResponse(analysis_of(call.route, found))


OPERATIONS = (
    read(
        "/analysis",
        "Verdict on the canary and its evidence",
        shown(lambda call: analysis_of(call.route, call.views.plane.judges.analysis(call.route, call.views.now()))),
        models.AnalysisDocument,
    ),
    Operation(
        "POST",
        f"{ROUTE}/analysis/{{verdict}}",
        "Check that the verdict is the given one (200, else 409), for webhooks that only read the status",
        "read",
        _is_verdict,
        models.AnalysisDocument,
        problems=("no-such-route", "invalid", "verdict-changed"),
    ),
    read("/rollout", "The rollout", shown(lambda call: call.views.rollout(call.route), tag=True), RolloutDocument),
    *(
        change_of("POST", f"/rollout/{verb}", text, _verb(verb), RolloutDocument, body_of(verb), optional=True)
        for verb, text in VERBS.items()
    ),
    read("/rollout/report", "Report of the last rollout", shown(_report), ReportDocument),
    read("/rollouts", "The last rollouts", shown(lambda call: rollouts_of(call.views, call.route)), RolloutsDocument),
    read(
        "/rollouts/{rollout}",
        "State or result of one rollout",
        shown(lambda call: rollout_of(call.views, call.route, call.path["rollout"])),
        RolloutRecordDocument,
        "no-such-rollout",
    ),
    read("/rollouts/{rollout}/report", "Report of a rollout", shown(_report), ReportDocument, "no-such-rollout"),
)
