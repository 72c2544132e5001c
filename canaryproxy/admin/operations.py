"""The calls of the API: what each takes, does and answers. The table of them makes both the router and the OpenAPI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pydantic import ValidationError

from canaryproxy.admin import models, rollout_models
from canaryproxy.admin.analysis import analysis_of
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tagged
from canaryproxy.admin.canaries import Canary, CanaryChanged, delete_canary, put_canary, show_canary
from canaryproxy.admin.goals import report
from canaryproxy.admin.preconditions import tag
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.rollout_models import VERBS, BeginBody, body_of
from canaryproxy.admin.rollout_views import report_of, rollout_of, rollouts_of
from canaryproxy.admin.views import ROUTES_PER_TURN, VERDICTS, entry
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.rules_document import rule_as_written, rule_from_written
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.schema.section import InvalidDocumentError
from canaryproxy.config.types.quantity import duration
from canaryproxy.control.controller import Rules
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.rollout.state import Verb
from canaryproxy.telemetry.read.window import MAX_WINDOW_SECONDS

Role = Literal["read", "write"]
Body = TypeVar("Body", bound=models.Model)

MIN_WINDOW_SECONDS = 1.0
DEFAULT_WINDOW_SECONDS = "60s"
MAX_ENTRIES = 1000
MAX_RULES = 10_000
"""Of one route."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `problems` are the slugs that it may answer beside those that every call may; `optional`: it needs no
    body; `same`: every reader gets the same answer, which is computed once. Readers take turns, those of
    each `lane` their own.
    """

    method: str
    path: str
    summary: str
    role: Role
    run: Callable[[ApiCall], Awaitable[ApiResponse]]
    answer: type[models.Model]
    body: type[models.Model] | Literal["rule", "canary"] | None = None
    problems: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    status: int = 200
    optional: bool = False
    same: bool = False
    lane: str = "read"


async def _routes(call: ApiCall) -> ApiResponse:
    views = call.views
    views.evidence_loaded()
    routes = []
    for number, name in enumerate(list(views.plane.topology.config.routes)):
        if number % ROUTES_PER_TURN == ROUTES_PER_TURN - 1:
            await views.plane.rollouts.precedence.breathe()
        if name in views.plane.topology.config.routes:
            routes.append(views.route(name))
    return ApiResponse(models.Routes(generation=views.plane.tables.generation, routes=routes))


async def _route(call: ApiCall) -> ApiResponse:
    return ApiResponse(call.views.route(call.route), headers=tagged(call))


async def _set_weight(call: ApiCall) -> ApiResponse:
    route = call.route
    body = _checked(models.WeightBody, call.body)
    change = call.views.plane.controller.set_weight(route, body.basis_points, call.actor, call.revision)
    changed = await after_change(call, change)
    canary = body.basis_points / 100
    weight = models.Weight(
        route=route,
        canary=canary,
        stable=(FULL_WEIGHT - body.basis_points) / 100,
        generation=changed.generation,
        source="api",
    )
    return ApiResponse(weight, headers={"ETag": tag(changed.revision)})


def _checked(model: type[Body], body: object) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    errors = [
        {"path": ".".join(map(str, one["loc"])), "problem": one["msg"].removeprefix("Value error, ")} for one in found
    ]
    raise ApiError(
        "invalid", "; ".join(f"{one['path'] or 'body'}: {one['problem']}" for one in errors), {"errors": errors}
    )


async def _rules(call: ApiCall) -> ApiResponse:
    state, route = call.views.plane.ledger.state, call.route
    return ApiResponse(
        models.Rules(rules=call.views.rules(route), source=state[route].rules_source),
        headers=tagged(call),
    )


async def _changed(call: ApiCall, change: Callable[[Rules], Rules]) -> tuple[ApiResponse, bool]:
    """What the rules were made into, and whether one more came: of this change, whatever comes after it."""
    route = call.route
    before: Rules = ()
    after: Rules = ()

    def seen(rules: Rules) -> Rules:
        nonlocal before, after
        before, after = rules, change(rules)
        return after

    changed = await after_change(call, call.views.plane.controller.set_rules(route, seen, call.actor, call.revision))
    body = models.RulesChanged(
        rules=list(map(rule_as_written, after)), source="api", route=route, generation=changed.generation
    )
    return ApiResponse(body, headers={"ETag": tag(changed.revision)}), len(after) > len(before)


def _rule(body: object) -> RuleConfig:
    try:
        return rule_from_written(body)
    except InvalidDocumentError as error:
        errors = [{"path": path, "problem": words} for path, words in error.problems]
        raise ApiError("invalid", str(error), {"errors": errors}) from None


def _more(rules: Rules, rule: RuleConfig) -> Rules:
    if len(rules) >= MAX_RULES:
        raise ApiError("invalid", f"a route has {MAX_RULES} rules at most")
    return (*rules, rule)


async def _add_rule(call: ApiCall) -> ApiResponse:
    rule = _rule(call.body)

    def change(rules: Rules) -> Rules:
        if any(one.name == rule.name for one in rules):
            raise ApiError("rule-exists", f"PUT rules/{rule.name} replaces it")
        return _more(rules, rule)

    answer, _ = await _changed(call, change)
    return replace(answer, status=201)


async def _put_rule(call: ApiCall) -> ApiResponse:
    name = call.path["rule"]
    rule = _rule(call.body)
    if rule.name != name:
        raise ApiError("rule-name", f"the body says {rule.name}, the path {name[:64]}")

    def change(rules: Rules) -> Rules:
        if all(one.name != name for one in rules):
            return _more(rules, rule)
        return tuple(rule if one.name == name else one for one in rules)

    answer, added = await _changed(call, change)
    return replace(answer, status=201 if added else 200)


async def _delete_rule(call: ApiCall) -> ApiResponse:
    name = call.path["rule"]

    def change(rules: Rules) -> Rules:
        if all(one.name != name for one in rules):
            raise ApiError("no-such-rule", f"rules are: {', '.join(one.name for one in rules[:20]) or 'none'}")
        return tuple(one for one in rules if one.name != name)

    answer, _ = await _changed(call, change)
    return answer


async def _stats(call: ApiCall) -> ApiResponse:
    route = call.route
    asked = call.query.get("window", DEFAULT_WINDOW_SECONDS)
    try:
        seconds = duration(MIN_WINDOW_SECONDS, MAX_WINDOW_SECONDS)(asked)
    except InvalidValueError as wrong:
        raise ApiError("invalid", f"window: {wrong.hint}") from None
    return ApiResponse(call.views.stats(route, seconds))


async def _analysis(call: ApiCall) -> ApiResponse:
    return ApiResponse(analysis_of(call.route, call.views.plane.judges.analysis(call.route, call.views.now())))


async def _rollout(call: ApiCall) -> ApiResponse:
    return ApiResponse(call.views.rollout(call.route), headers=tagged(call))


def _verb(verb: Verb) -> Callable[[ApiCall], Awaitable[ApiResponse]]:
    async def run(call: ApiCall) -> ApiResponse:
        route = call.route
        body = _checked(body_of(verb), call.body)
        names = (body.version, body.stable_version) if isinstance(body, BeginBody) else ("", "")
        change = call.views.plane.rollouts.do(
            route,
            verb,
            call.actor,
            full=body.full,
            version=names[0],
            stable=names[1],
            only=body.rollout_id or "",
            revision=call.revision,
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


async def _report(call: ApiCall) -> ApiResponse:
    return ApiResponse(report_of(call.views, call.route, call.path.get("rollout")))


async def _rollouts(call: ApiCall) -> ApiResponse:
    return ApiResponse(rollouts_of(call.views, call.route))


async def _one_rollout(call: ApiCall) -> ApiResponse:
    return ApiResponse(rollout_of(call.views, call.route, call.path["rollout"]))


async def _reach_goal(call: ApiCall) -> ApiResponse:
    route, body = call.route, _checked(models.GoalBody, call.body)
    _ = call.revision
    return ApiResponse(report(call.views, route, body), headers=tagged(call))


async def _history(call: ApiCall) -> ApiResponse:
    route = call.route
    asked = call.query.get("limit", "100")
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 4 and 1 <= int(asked) <= MAX_ENTRIES):
        raise ApiError("invalid", f"limit: expected a whole number from 1 to {MAX_ENTRIES}")
    try:
        audits = await call.views.plane.ledger.history(route, int(asked))
    except UnwritableStateError as error:
        raise ApiError("state-unwritable", str(error)) from None
    return ApiResponse(models.HistoryDocument(route=route, entries=list(map(entry, audits))))


_CHANGES = (
    "forbidden",
    "malformed",
    "not-json",
    "too-large",
    "invalid",
    "revision-conflict",
    "state-unwritable",
    "not-acknowledged",
    "illegal-phase",
    "no-canary",
)

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/api/v1/routes", "Every route with its full state", "read", _routes, models.Routes, same=True),
    Operation(
        "GET",
        "/api/v1/routes/{route}",
        "One route with its full state",
        "read",
        _route,
        models.RouteDocument,
        problems=("no-such-route",),
    ),
    Operation(
        "PUT",
        "/api/v1/routes/{route}/weight",
        "Set the canary's share; every worker follows it once this answers 200",
        "write",
        _set_weight,
        models.Weight,
        models.WeightBody,
        (*_CHANGES, "no-such-route"),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rules",
        "The rules, in order",
        "read",
        _rules,
        models.Rules,
        problems=("no-such-route",),
    ),
    Operation(
        "POST",
        "/api/v1/routes/{route}/rules",
        "Add a rule behind the others",
        "write",
        _add_rule,
        models.RulesChanged,
        "rule",
        (*_CHANGES, "no-such-route", "rule-exists"),
        status=201,
    ),
    Operation(
        "PUT",
        "/api/v1/routes/{route}/rules/{rule}",
        "Replace a rule in its place, or add it behind the others",
        "write",
        _put_rule,
        models.RulesChanged,
        "rule",
        (*_CHANGES, "no-such-route", "rule-name"),
    ),
    Operation(
        "DELETE",
        "/api/v1/routes/{route}/rules/{rule}",
        "Remove a rule",
        "write",
        _delete_rule,
        models.RulesChanged,
        None,
        (
            "forbidden",
            "malformed",
            "no-such-route",
            "no-such-rule",
            "revision-conflict",
            "state-unwritable",
            "not-acknowledged",
            "illegal-phase",
        ),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/canary",
        "The canary, and who set it",
        "read",
        show_canary,
        Canary,
        problems=("no-such-route",),
    ),
    Operation(
        "PUT",
        "/api/v1/routes/{route}/canary",
        "Give the route a canary, or another one; a new one begins at weight 0",
        "write",
        put_canary,
        CanaryChanged,
        "canary",
        (*_CHANGES, "no-such-route"),
    ),
    Operation(
        "DELETE",
        "/api/v1/routes/{route}/canary",
        "Remove a canary that nothing is sent to",
        "write",
        delete_canary,
        CanaryChanged,
        None,
        (
            "forbidden",
            "malformed",
            "no-such-route",
            "no-canary",
            "revision-conflict",
            "state-unwritable",
            "not-acknowledged",
            "illegal-phase",
        ),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/stats",
        "What both versions did lately",
        "read",
        _stats,
        models.Stats,
        problems=("no-such-route", "invalid"),
        query=("window",),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/analysis",
        "Whether the canary is worse, and on what evidence",
        "read",
        _analysis,
        models.AnalysisDocument,
        problems=("no-such-route",),
    ),
    Operation(
        "POST",
        "/api/v1/routes/{route}/analysis/{verdict}",
        "Whether the verdict is this one, for webhooks that go by the status",
        "read",
        _is_verdict,
        models.AnalysisDocument,
        problems=("no-such-route", "invalid", "verdict-changed"),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rollout",
        "Where the rollout stands",
        "read",
        _rollout,
        rollout_models.RolloutDocument,
        problems=("no-such-route",),
    ),
    *(
        Operation(
            "POST",
            f"/api/v1/routes/{{route}}/rollout/{verb}",
            words,
            "write",
            _verb(verb),
            rollout_models.RolloutDocument,
            body_of(verb),
            (*_CHANGES, "no-such-route"),
            optional=True,
        )
        for verb, words in VERBS.items()
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rollout/report",
        "What the new version is like beside the old one",
        "read",
        _report,
        rollout_models.ReportDocument,
        problems=("no-such-route",),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rollouts",
        "The last rollouts, the newest first",
        "read",
        _rollouts,
        rollout_models.RolloutsDocument,
        problems=("no-such-route",),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rollouts/{rollout}",
        "How one of them stands or has ended",
        "read",
        _one_rollout,
        rollout_models.RolloutRecordDocument,
        problems=("no-such-route", "no-such-rollout"),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/rollouts/{rollout}/report",
        "The report of one of them",
        "read",
        _report,
        rollout_models.ReportDocument,
        problems=("no-such-route", "no-such-rollout"),
    ),
    Operation(
        "POST",
        "/api/v1/routes/{route}/goals",
        "Report a business event from outside",
        "write",
        _reach_goal,
        models.GoalCounted,
        models.GoalBody,
        (
            "forbidden",
            "malformed",
            "not-json",
            "too-large",
            "invalid",
            "revision-conflict",
            "no-such-route",
            "no-such-goal",
            "no-affinity",
        ),
    ),
    Operation(
        "GET",
        "/api/v1/routes/{route}/history",
        "Who did what, the newest first",
        "read",
        _history,
        models.HistoryDocument,
        problems=("no-such-route", "invalid", "state-unwritable"),
        query=("limit",),
        lane="history",
    ),
)
