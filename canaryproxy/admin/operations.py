"""The operations of the API: request, effect and response of each. Router and OpenAPI are made from their table."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag, tagged
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
from canaryproxy.admin.views import ROUTES_PER_TURN, VERDICTS, Views, entry
from canaryproxy.config.canary_document import NO_CANARY, CanaryDocument, canary_set
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.rules_document import rule_as_written, rule_from_written
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.schema.section import InvalidDocumentError, as_written
from canaryproxy.config.types.quantity import duration
from canaryproxy.control.controller import Rules
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.model.report import GoalDelta
from canaryproxy.model.table import FULL_WEIGHT, Route
from canaryproxy.rollout.state import Verb
from canaryproxy.routing.affinity import salt_of
from canaryproxy.routing.hashing import Hash
from canaryproxy.telemetry.read.window import MAX_WINDOW_SECONDS
from canaryproxy.telemetry.record.histogram import value_bucket

Role = Literal["read", "write"]
Body = TypeVar("Body", bound=models.Model)
Answer = type[models.Model]
BodyModel = type[models.Model] | Literal["rule", "canary"] | None
Handler = Callable[[ApiCall], Awaitable[ApiResponse]]

MIN_WINDOW_SECONDS = 1.0
DEFAULT_WINDOW_SECONDS = "60s"
# History entries in one response.
MAX_ENTRIES = 1000

# Rules of one route.
MAX_RULES = 10_000

ROUTE = "/api/v1/routes/{route}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and path. `problems` are the problem slugs that this operation may answer in addition to the common
    ones; `optional`: the body may be left out; `same`: the response is the same for all readers and is computed once.
    Readers queue for their turn, separately for each `lane`.
    """

    method: str
    path: str
    summary: str
    role: Role
    run: Handler
    answer: Answer
    body: BodyModel = None
    problems: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    status: int = 200
    optional: bool = False
    same: bool = False
    lane: str = "read"


async def _routes(call: ApiCall) -> ApiResponse:
    views = call.views
    views.require_state()
    routes = []
    for number, name in enumerate(list(views.plane.topology.config.routes)):
        if number % ROUTES_PER_TURN == ROUTES_PER_TURN - 1:
            await views.plane.rollouts.precedence.breathe()
        if name in views.plane.topology.config.routes:
            routes.append(views.route(name))
    return ApiResponse(models.Routes(generation=views.plane.tables.generation, routes=routes))


async def _set_weight(call: ApiCall) -> ApiResponse:
    route = call.route
    points = _checked(models.WeightBody, call.body).basis_points
    change = call.views.plane.controller.set_weight(route, points, call.actor, call.revision)
    changed = await after_change(call, change)
    canary, stable = points / 100, (FULL_WEIGHT - points) / 100
    weight = models.Weight(route=route, canary=canary, stable=stable, generation=changed.generation, source="api")
    return ApiResponse(weight, headers={"ETag": tag(changed.revision)})


def _checked(model: type[Body], body: object) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise _invalid([(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in found])


def _invalid(problems: Iterable[tuple[str, str]], detail: str = "") -> ApiError:
    """A 422 response. `problems` are (path in the body, what is wrong)."""
    errors = [{"path": path, "problem": text} for path, text in problems]
    text = "; ".join(f"{one['path'] or 'body'}: {one['problem']}" for one in errors)
    return ApiError("invalid", detail or text, {"errors": errors})


async def _changed(call: ApiCall, change: Callable[[Rules], Rules]) -> tuple[ApiResponse, bool]:
    """Apply a change to the rules. Returns the response and whether a rule was added."""
    # `after` is the result of this change, even if another one follows before the response is sent.
    route = call.route
    before: Rules = ()
    after: Rules = ()

    def observed(rules: Rules) -> Rules:
        nonlocal before, after
        before, after = rules, change(rules)
        return after

    change_rules = call.views.plane.controller.set_rules
    changed = await after_change(call, change_rules(route, observed, call.actor, call.revision))
    rules = list(map(rule_as_written, after))
    body = models.RulesChanged(rules=rules, source="api", route=route, generation=changed.generation)
    return ApiResponse(body, headers={"ETag": tag(changed.revision)}), len(after) > len(before)


def _rule(body: object) -> RuleConfig:
    try:
        return rule_from_written(body)
    except InvalidDocumentError as error:
        raise _invalid(error.problems, str(error)) from None


def _with_rule(rules: Rules, rule: RuleConfig) -> Rules:
    if len(rules) >= MAX_RULES:
        raise ApiError("invalid", f"a route has at most {MAX_RULES} rules")
    return (*rules, rule)


async def _add_rule(call: ApiCall) -> ApiResponse:
    rule = _rule(call.body)

    def change(rules: Rules) -> Rules:
        if any(one.name == rule.name for one in rules):
            raise ApiError("rule-exists", f"use PUT rules/{rule.name} to replace it")
        return _with_rule(rules, rule)

    answer, _ = await _changed(call, change)
    return replace(answer, status=201)


async def _put_rule(call: ApiCall) -> ApiResponse:
    name = call.path["rule"]
    rule = _rule(call.body)
    if rule.name != name:
        raise ApiError("rule-name", f"the name is {rule.name} in the body and {name[:64]} in the path")

    def change(rules: Rules) -> Rules:
        if all(one.name != name for one in rules):
            return _with_rule(rules, rule)
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


def _canary(call: ApiCall) -> models.Canary:
    views, route = call.views, call.route
    source = views.plane.ledger.state[route].canary_source
    return models.Canary(route=route, canary=views.canary(route), source=source)


async def _put_canary(call: ApiCall) -> ApiResponse:
    # in a thread: the files of `tls` may lie on a disk that hangs
    route, new = call.route, not call.views.has_canary(call.route)
    try:
        canary = await asyncio.to_thread(canary_set, call.body)
    except InvalidDocumentError as error:
        raise _invalid(error.problems, str(error)) from None
    return replace(await _set_canary(call, route, canary), status=201 if new else 200)


async def _delete_canary(call: ApiCall) -> ApiResponse:
    return await _set_canary(call, call.route, NO_CANARY)


async def _set_canary(call: ApiCall, route: str, canary: CanaryDocument) -> ApiResponse:
    views = call.views
    changed = await after_change(call, views.plane.reconfiguration.set_canary(route, canary, call.actor, call.revision))
    state = views.plane.ledger.state[call.route]
    body = models.CanaryChanged(
        route=route,
        canary=None if canary.version is None else as_written(canary.version),
        source="api",
        weight=state.weight / 100,
        phase=state.rollout.phase,
        generation=changed.generation,
    )
    return ApiResponse(body, headers={"ETag": tag(changed.revision)})


def _stats(call: ApiCall) -> models.Stats:
    route = call.route
    try:
        seconds = duration(MIN_WINDOW_SECONDS, MAX_WINDOW_SECONDS)(call.query.get("window", DEFAULT_WINDOW_SECONDS))
    except InvalidValueError as wrong:
        raise ApiError("invalid", f"window: {wrong.hint}") from None
    return call.views.stats(route, seconds)


def _report(call: ApiCall) -> ReportDocument:
    return report_of(call.views, call.route, call.path.get("rollout"))


def _verb(verb: Verb) -> Handler:
    async def run(call: ApiCall) -> ApiResponse:
        route = call.route
        body = _checked(body_of(verb), call.body)
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


async def _reach_goal(call: ApiCall) -> ApiResponse:
    route, body = call.route, _checked(models.GoalBody, call.body)
    _ = call.revision  # a stale `If-Match` is refused here as everywhere
    return ApiResponse(count_goal(call.views, route, body), headers=tagged(call))


def count_goal(views: Views, name: str, body: models.GoalBody) -> models.GoalCounted:
    """Count a business event of a version, or of a user by affinity key. Raises `ApiError`."""
    route = next(one for one in views.plane.tables.table.routes if one.name == name)
    known = [goal.name for goal in route.goals]
    if body.goal not in known:
        raise ApiError("no-such-goal", f"goals of {name} are: {', '.join(known) or 'none'}")
    if (body.version is None) == (body.key is None):
        raise ApiError("invalid", "give either `version` or `key` (the affinity key of the user)")
    if body.version == "canary" and route.canary is None:
        raise ApiError("no-canary", f"{name} has no canary that could have caused the event")
    user, version = 0, body.version
    if body.key is not None:
        user, version = _user(views, route, body.key)
    side, now, plane = (name, version or "stable"), views.now(), views.plane
    plane.counters.goal_reached(side, body.goal, 1, body.value)
    event = GoalDelta(*side, body.goal, True, 1, body.value, {value_bucket(body.value): 1})
    plane.window.goal_reached(event, now)
    plane.judges.goal_reached(event)
    if user:
        plane.judges.users_seen(plane.users.goal_reached((*side, body.goal), {user: body.value}, 0, now))
    return models.GoalCounted(route=name, goal=body.goal, version=side[1], value=body.value)


def _user(views: Views, route: Route, key: str) -> tuple[int, models.VersionName]:
    """The user number of an affinity key and the version that served the user last, or would now. Raises `ApiError`."""
    if route.affinity is None:
        raise ApiError("no-affinity", f"{route.name} has no affinity, so users are unknown; give `version`")
    hashed = Hash(salt_of(route.salt or route.name)).of(key.encode("utf-8"))
    user = views.numbers.of(hashed)
    last = views.plane.users.version_of(route.name, user)
    if last is not None:
        return user, "canary" if last == "canary" else "stable"
    return user, "canary" if hashed % FULL_WEIGHT < route.weight and not route.aborted else "stable"


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


def _shown(make: Callable[[ApiCall], models.Model], *, tag: bool = False) -> Handler:
    """A handler that responds with the document of `make`; `tag`: with the entity tag of the route."""

    async def run(call: ApiCall) -> ApiResponse:
        return ApiResponse(make(call), headers=tagged(call) if tag else {})

    return run


def _rules(call: ApiCall) -> models.Rules:
    route = call.route
    return models.Rules(rules=call.views.rules(route), source=call.views.plane.ledger.state[route].rules_source)


_BODY = ("not-json", "too-large", "invalid")
_STORE = ("state-unwritable", "not-acknowledged")
_CHANGES = ("forbidden", "malformed", "no-such-route", "revision-conflict", "illegal-phase", "no-canary", *_STORE)


def _read(path: str, summary: str, run: Handler, answer: Answer, *problems: str, **more: Any) -> Operation:
    """A GET below a route."""
    return Operation("GET", ROUTE + path, summary, "read", run, answer, problems=("no-such-route", *problems), **more)


def _change(
    method: str, path: str, summary: str, run: Handler, answer: Answer, body: BodyModel, *problems: str, **more: Any
) -> Operation:
    """An operation that changes a route."""
    slugs = (*_CHANGES, *(() if body is None else _BODY), *problems)
    return Operation(method, ROUTE + path, summary, "write", run, answer, body, slugs, **more)


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/api/v1/routes", "All routes with their full state", "read", _routes, models.Routes, same=True),
    _read("", "One route", _shown(lambda call: call.views.route(call.route), tag=True), models.RouteDocument),
    _change("PUT", "/weight", "Set the weight of the canary", _set_weight, models.Weight, models.WeightBody),
    _read("/rules", "The rules in order", _shown(_rules, tag=True), models.Rules),
    _change("POST", "/rules", "Append a rule", _add_rule, models.RulesChanged, "rule", "rule-exists", status=201),
    _change("PUT", "/rules/{rule}", "Replace or append a rule", _put_rule, models.RulesChanged, "rule", "rule-name"),
    _change("DELETE", "/rules/{rule}", "Remove a rule", _delete_rule, models.RulesChanged, None, "no-such-rule"),
    _read("/canary", "The canary and its source", _shown(_canary, tag=True), models.Canary),
    _change("PUT", "/canary", "Set the canary; it starts at weight 0", _put_canary, models.CanaryChanged, "canary"),
    _change("DELETE", "/canary", "Remove a canary without traffic", _delete_canary, models.CanaryChanged, None),
    _read("/stats", "Recent statistics of both versions", _shown(_stats), models.Stats, "invalid", query=("window",)),
    _read(
        "/analysis",
        "Verdict on the canary and its evidence",
        _shown(lambda call: analysis_of(call.route, call.views.plane.judges.analysis(call.route, call.views.now()))),
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
    _read("/rollout", "The rollout", _shown(lambda call: call.views.rollout(call.route), tag=True), RolloutDocument),
    *(
        _change("POST", f"/rollout/{verb}", text, _verb(verb), RolloutDocument, body_of(verb), optional=True)
        for verb, text in VERBS.items()
    ),
    _read("/rollout/report", "Report of the last rollout", _shown(_report), ReportDocument),
    _read("/rollouts", "The last rollouts", _shown(lambda call: rollouts_of(call.views, call.route)), RolloutsDocument),
    _read(
        "/rollouts/{rollout}",
        "State or result of one rollout",
        _shown(lambda call: rollout_of(call.views, call.route, call.path["rollout"])),
        RolloutRecordDocument,
        "no-such-rollout",
    ),
    _read("/rollouts/{rollout}/report", "Report of a rollout", _shown(_report), ReportDocument, "no-such-rollout"),
    Operation(
        "POST",
        f"{ROUTE}/goals",
        "Report a business event from outside",
        "write",
        _reach_goal,
        models.GoalCounted,
        models.GoalBody,
        ("forbidden", "malformed", *_BODY, "revision-conflict", "no-such-route", "no-such-goal", "no-affinity"),
    ),
    Operation(
        "GET",
        f"{ROUTE}/history",
        "Audit log of the route, newest first",
        "read",
        _history,
        models.HistoryDocument,
        problems=("no-such-route", "invalid", "state-unwritable"),
        query=("limit",),
        lane="history",
    ),
)
